from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial")]
    operations = [
        migrations.AddField("order", "total", models.DecimalField(max_digits=10, decimal_places=2, default=0)),
    ]
