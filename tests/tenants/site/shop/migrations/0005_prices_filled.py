from django.db import migrations


def fill(apps, editor):
    apps.get_model("shop", "Product").objects.filter(price=None).update(price=1)


class Migration(migrations.Migration):
    dependencies = [("shop", "0004_review")]
    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
        migrations.RunSQL(
            "CREATE VIEW shop_dear AS SELECT id, name, price FROM shop_product WHERE price > 100", "DROP VIEW shop_dear"
        ),
    ]
