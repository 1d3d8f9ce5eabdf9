"""Came with release 2.2; in a database that has the originals, Django only records it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    replaces = [("catalog", "0001_initial"), ("catalog", "0002_product_sku"), ("catalog", "0003_product_on_sale")]
    dependencies = []
    operations = [
        migrations.CreateModel(
            "Category",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=100)),
            ],
            {"verbose_name_plural": "categories"},
        ),
        migrations.CreateModel(
            "Product",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("category", models.ForeignKey("catalog.Category", models.PROTECT)),
                ("name", models.CharField(max_length=100)),
                ("price", models.DecimalField(max_digits=8, decimal_places=2)),
                ("sku", models.CharField(max_length=20, unique=True)),
                ("on_sale", models.BooleanField(default=True, db_index=True)),
            ],
        ),
    ]
