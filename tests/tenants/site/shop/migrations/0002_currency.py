import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial"), ("customers", "0001_initial")]
    operations = [
        migrations.AddField(
            "Product",
            "currency",
            models.ForeignKey("customers.Currency", django.db.models.deletion.SET_NULL, null=True),
        )
    ]
