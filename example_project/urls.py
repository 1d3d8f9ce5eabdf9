"""The admin, and in it the page of rollback_app."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/rollbacks/", include("rollback_app.web.urls")),
    path("admin/", admin.site.urls),
]
