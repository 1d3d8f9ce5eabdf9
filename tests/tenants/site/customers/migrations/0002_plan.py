from django.db import migrations, models


def add_plans(apps, editor):
    apps.get_model("customers", "Plan").objects.create(name="basic")


class Migration(migrations.Migration):
    dependencies = [("customers", "0001_initial")]
    operations = [
        migrations.CreateModel(
            "Plan", [("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=100))]
        ),
        migrations.RunPython(add_plans, migrations.RunPython.noop),
        migrations.AddField("Currency", "symbol", models.CharField(max_length=3, default="")),
        migrations.RunSQL(
            "UPDATE customers_currency SET symbol = '$' WHERE code = 'USD'",
            "UPDATE customers_currency SET symbol = '' WHERE code = 'USD'",
        ),
    ]
