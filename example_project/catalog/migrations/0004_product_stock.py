from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0003_product_on_sale")]
    operations = [migrations.AddField("product", "stock", models.PositiveIntegerField(default=0))]
