from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_currency")]
    operations = [
        migrations.AddField("Product", "price", models.DecimalField(max_digits=10, decimal_places=2, null=True)),
        migrations.AlterField("Product", "name", models.CharField(max_length=100, null=True)),
    ]
