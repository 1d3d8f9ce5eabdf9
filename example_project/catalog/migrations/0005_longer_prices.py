from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0004_product_stock")]
    operations = [migrations.AlterField("product", "price", models.DecimalField(max_digits=10, decimal_places=2))]
