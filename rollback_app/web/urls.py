"""Where the pages are."""

from __future__ import annotations

from django.urls import path

from . import views

app_name = "rollback_app"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("<str:alias>/", views.overview, name="database"),
    path("<str:alias>/plan/", views.plan, name="plan"),
]
