"""An app of the project's own that leans on others: tags, reversions, and histories, whose tables are in its migrations."""

from __future__ import annotations

import reversion
from django.conf import settings
from django.db import models
from simple_history.models import HistoricalRecords
from taggit.managers import TaggableManager


class Author(models.Model):
    name = models.CharField(max_length=200, unique=True)

    def __str__(self) -> str:
        return self.name


@reversion.register()
class Book(models.Model):
    title = models.CharField(max_length=200, db_index=True)
    pages = models.PositiveIntegerField(default=0)
    author = models.ForeignKey(Author, models.CASCADE)
    lent_to = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True)
    tags = TaggableManager()
    history = HistoricalRecords()

    def __str__(self) -> str:
        return self.title
