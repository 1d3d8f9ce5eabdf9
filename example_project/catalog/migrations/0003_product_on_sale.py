from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("catalog", "0002_product_sku")]
    operations = [migrations.AddField("product", "on_sale", models.BooleanField(default=True, db_index=True))]
