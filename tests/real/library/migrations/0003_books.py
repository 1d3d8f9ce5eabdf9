from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("library", "0002_tags_and_lending"), ("contenttypes", "0002_remove_content_type_name")]
    operations = [
        migrations.RenameModel("Publication", "Book"),
        migrations.RenameModel("HistoricalPublication", "HistoricalBook"),
        migrations.AlterModelOptions(
            "historicalbook",
            {
                "verbose_name": "historical book",
                "verbose_name_plural": "historical books",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
        ),
        migrations.RenameField("book", "writer", "author"),
        migrations.RenameField("historicalbook", "writer", "author"),
        migrations.AddField("book", "pages", models.PositiveIntegerField(default=0)),
        migrations.AddField("historicalbook", "pages", models.PositiveIntegerField(default=0)),
    ]
