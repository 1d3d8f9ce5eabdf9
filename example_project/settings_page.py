"""The shop with an admin, and in it the page of rollback_app: for `python -m example_project.page`."""

from __future__ import annotations

import secrets

from example_project.settings import *  # noqa: F403
from example_project.settings import INSTALLED_APPS as SHOP

INSTALLED_APPS = ["django.contrib.admin", "django.contrib.messages", "django.contrib.staticfiles", *SHOP]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROLLBACK = {"RELEASE": "2.2"}
SECRET_KEY = secrets.token_urlsafe(32)
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"  # which needs no table
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "example_project.urls"
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
STATIC_URL = "static/"
