from django.apps import AppConfig


class Config(AppConfig):
    name = "tests.apps.a"
    label = "a"
