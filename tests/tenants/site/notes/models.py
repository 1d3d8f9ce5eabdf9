from django.db import models


class Note(models.Model):
    text = models.CharField(max_length=100)
    pinned = models.CharField(max_length=10, default="")
