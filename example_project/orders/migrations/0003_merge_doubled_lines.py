"""Joins the lines of an order that are about the same product. What they were is gone then: this cannot be undone."""

from django.db import migrations


def merge_doubled_lines(apps, schema_editor):
    lines = apps.get_model("orders", "OrderLine").objects.using(schema_editor.connection.alias)
    seen = {}
    for line in lines.order_by("pk"):
        first = seen.setdefault((line.order_id, line.product_id), line)
        if first is not line:
            first.quantity += line.quantity
            first.save(update_fields=["quantity"])
            line.delete()


class Migration(migrations.Migration):
    dependencies = [("orders", "0002_order_total")]
    operations = [migrations.RunPython(merge_doubled_lines)]
