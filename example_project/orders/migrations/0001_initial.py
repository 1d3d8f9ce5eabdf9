from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("catalog", "0003_product_on_sale"),
    ]
    operations = [
        migrations.CreateModel(
            "Order",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("customer", models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT)),
                ("placed", models.DateTimeField()),
                ("status", models.CharField(max_length=10, default="OPEN")),
            ],
        ),
        migrations.CreateModel(
            "OrderLine",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("order", models.ForeignKey("orders.Order", models.CASCADE, related_name="lines")),
                ("product", models.ForeignKey("catalog.Product", models.PROTECT)),
                ("quantity", models.PositiveSmallIntegerField()),
            ],
        ),
    ]
