from django.apps import AppConfig


class Config(AppConfig):
    name = "tests.real.library"
    label = "library"
