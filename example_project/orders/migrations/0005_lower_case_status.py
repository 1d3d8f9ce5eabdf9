from django.db import migrations, models
from django.db.models.functions import Lower, Upper


def lower_case(apps, schema_editor):
    apps.get_model("orders", "Order").objects.using(schema_editor.connection.alias).update(status=Lower("status"))


def upper_case(apps, schema_editor):
    apps.get_model("orders", "Order").objects.using(schema_editor.connection.alias).update(status=Upper("status"))


class Migration(migrations.Migration):
    dependencies = [("orders", "0004_order_note")]
    operations = [
        migrations.RunPython(lower_case, upper_case),
        migrations.AlterField("order", "status", models.CharField(max_length=10, default="open")),
    ]
