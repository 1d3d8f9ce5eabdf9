"""Projects of well-known apps with long histories. tests.settings only lends its databases: nothing here disturbs the
other tests, and everything here runs in processes of its own."""

from __future__ import annotations

import os

from tests import settings as tests

# Wagtail's search builds its tables for the vendor of the default database, whichever it is migrating.
DATABASES = {"default": tests.DATABASES[os.environ.get("TEST_REAL_DATABASE", "default")]}
if "TEST_REAL_OTHER" in os.environ:  # for a copy
    DATABASES["other"] = tests.DATABASES[os.environ["TEST_REAL_OTHER"]]

OSCAR = [
    "Address",
    "Analytics",
    "Basket",
    "Catalogue",
    "Checkout",
    "Communication",
    "Customer",
    "Offer",
    "Order",
    "Partner",
]
OSCAR += ["Payment", "Search", "Shipping", "Voucher", "Wishlists"]
DASHBOARD = ["Catalogue", "Communications", "Offers", "Orders", "Pages", "Partners", "Ranges", "Reports", "Reviews"]
DASHBOARD += ["Shipping", "Users", "Vouchers"]

# Rendering models costs Django the square of their number, so that two projects of half the size take half the time.
PROJECTS = {
    "accounts": [
        "allauth",
        "allauth.account",
        "allauth.idp.oidc",
        "allauth.mfa",
        "allauth.socialaccount",
        "allauth.usersessions",
        "axes",
        "django_celery_beat",
        "oauth2_provider",
        "rest_framework",
        "rest_framework.authtoken",
        "rest_framework_simplejwt.token_blacklist",
        "waffle",
    ],
    "publishing": [
        "tests.real.library",
        "modelcluster",
        "modelsearch",
        "reversion",
        "simple_history",
        "taggit",
        "wagtail",
        "wagtail.admin",
        "wagtail.contrib.forms",
        "wagtail.contrib.redirects",
        "wagtail.contrib.search_promotions",
        "wagtail.contrib.settings",
        "wagtail.contrib.simple_translation",
        "wagtail.documents",
        "wagtail.embeds",
        "wagtail.images",
        "wagtail.search",
        "wagtail.sites",
        "wagtail.snippets",
        "wagtail.users",
    ],
    # Fields of their own (trees, files, phone numbers), raw SQL, data migrations. (Not django-cms: its 0018 cannot be undone,
    # and what comes before it cannot be told without it.)
    "shop": [
        "django.contrib.flatpages",
        "treebeard",
        "filer",
        "easy_thumbnails",
        "social_django",
        "haystack",
        "widget_tweaks",
        "django_tables2",
        *(f"oscar.apps.{name.lower()}.apps.{name}Config" for name in OSCAR),
        "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
        "oscar.apps.dashboard.apps.DashboardConfig",
        *(f"oscar.apps.dashboard.{name.lower()}.apps.{name}DashboardConfig" for name in DASHBOARD),
        "oscar.config.Shop",
    ],
}
PROJECT = os.environ.get("TEST_REAL_PROJECT", "accounts")
INSTALLED_APPS = [
    "rollback_app",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.sites",
    *PROJECTS[PROJECT],
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "not a secret"
SITE_ID = 1
STATIC_URL = "static/"
TIME_ZONE = "UTC"
USE_TZ = True
WAGTAIL_SITE_NAME = "Library"
WAGTAILADMIN_BASE_URL = "https://example.com"
# No request is ever served here.
SILENCED_SYSTEM_CHECKS = ["admin.E403", "admin.E408", "admin.E409", "admin.E410", "axes.W002", "axes.W003"]
MIDDLEWARE = ["allauth.account.middleware.AccountMiddleware"]  # it insists
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
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English")]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
if PROJECT == "shop":
    from oscar.defaults import *  # noqa: F403 - as its documentation says
