from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
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
            ],
        ),
    ]
