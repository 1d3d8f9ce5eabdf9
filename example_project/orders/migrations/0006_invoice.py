from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orders", "0005_lower_case_status"), ("catalog", "0005_longer_prices")]
    operations = [
        migrations.CreateModel(
            "Invoice",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("order", models.OneToOneField("orders.Order", models.PROTECT)),
                ("number", models.CharField(max_length=20, unique=True)),
                ("due_date", models.DateField(null=True)),
            ],
        ),
    ]
