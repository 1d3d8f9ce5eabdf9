from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("library", "0003_books"),
        ("taggit", "0006_rename_taggeditem_content_type_object_id_taggit_tagg_content_8fc721_idx"),
    ]
    operations = [
        migrations.AlterField("book", "title", models.CharField(db_index=True, max_length=200)),
        migrations.AlterField("historicalbook", "title", models.CharField(db_index=True, max_length=200)),
        migrations.AlterField("historicalbook", "history_date", models.DateTimeField(db_index=True)),
        migrations.AlterField("author", "name", models.CharField(max_length=200, unique=True)),
    ]
