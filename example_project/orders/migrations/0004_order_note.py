from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0003_merge_doubled_lines"), ("accounts", "0002_user_loyalty_points")]
    operations = [
        migrations.AddField("order", "note", models.TextField(blank=True, default="")),
        migrations.AddIndex("order", models.Index(fields=["status", "placed"], name="orders_by_status")),
    ]
