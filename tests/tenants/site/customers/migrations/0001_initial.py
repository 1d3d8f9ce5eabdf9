from django.db import migrations, models

ID = ("id", models.BigAutoField(primary_key=True))


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            "Client",
            [
                ID,
                ("schema_name", models.CharField(max_length=63, unique=True)),
                ("name", models.CharField(max_length=100)),
            ],
        ),
        migrations.CreateModel(
            "Domain",
            [
                ID,
                ("domain", models.CharField(max_length=253)),
                ("is_primary", models.BooleanField(default=True)),
                ("tenant", models.ForeignKey("customers.Client", models.CASCADE)),
            ],
        ),
        migrations.CreateModel("Currency", [ID, ("code", models.CharField(max_length=3))]),
    ]
