"""The page in the admin: what it shows on each database, who may see it, and that it only looks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from dj_control_room.registry import PanelRegistry
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import connections
from django.http import Http404, HttpResponse
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import reverse

from example_project import settings_page
from rollback_app.web import access, views
from rollback_app.web.panel import Panel
from tests.support.commands import call
from tests.support.databases import Database, ask
from tests.support.history import deploy, rows
from tests.support.projects import NO_MIGRATIONS, Project

DAY_1 = datetime(2024, 5, 1, 8, 0, tzinfo=timezone.utc)
DAY_2 = datetime(2024, 5, 2, 8, 0, tzinfo=timezone.utc)
T = 'migrations.CreateModel("T", [("id", models.BigAutoField(primary_key=True))], options={"db_table": "a<b>"})'
X = 'migrations.AddField("T", "x", models.IntegerField(null=True))'
SITE = ["MIDDLEWARE", "ROOT_URLCONF", "SESSION_ENGINE", "STATIC_URL", "TEMPLATES"]
ADMIN = ["django.contrib.admin", "django.contrib.messages", "django.contrib.staticfiles"]
on_sqlite = pytest.mark.databases("sqlite")


@pytest.fixture
def site(project: Project) -> Iterator[Project]:
    """A project with an admin, and the page in it."""
    found = {name: getattr(settings_page, name) for name in SITE}
    with override_settings(INSTALLED_APPS=[*ADMIN, *django_settings.INSTALLED_APPS], **found):
        yield project


def shop(site: Project, database: Database) -> None:
    site(a={"0001_t": T, "0002_x": X})
    django_settings.MIGRATION_MODULES["admin"] = NO_MIGRATIONS
    deploy(database.alias, DAY_1, [("a", "0001_t")])
    deploy(database.alias, DAY_2)
    ask(database, f"INSERT INTO {database.connection.ops.quote_name('a<b>')} (id, x) VALUES (1, 7)")


def see(view: Any, address: str, *args: str, status: int = 200, user: Any = None) -> str:
    request = RequestFactory().get(address)
    request.user = user or get_user_model()(username="root", is_staff=True, is_superuser=True)
    answer = view(request, *args)
    assert isinstance(answer, TemplateResponse)
    text = answer.render().content.decode()
    assert answer.status_code == status, text
    return text


def test_what_there_is(database: Database, site: Project) -> None:
    shop(site, database)
    before = rows(database.alias)
    page = see(views.overview, "/", database.alias)
    assert f"<h1>Rollbacks of {database.alias}</h1>" in page
    assert "<p>2 deployments, in Europe/Berlin.</p>" in page.replace(' class=""', "")
    assert page.count(">the plan<") == 2
    assert "This code does not run on the database as it is:" in page  # it also has models of auth, which has no tables
    assert "migrate is not held." in page
    assert "No rollback was noted here." in page
    assert "Nothing is kept here." in page
    assert f'href="/admin/rollbacks/{database.alias}/" aria-current="page"' in page
    assert rows(database.alias) == before

    back = call(
        "rollbackmigrationsafter", DAY_2.isoformat(), "--database", database.alias, "--no-input", "--reason", "<i>"
    )
    assert back.status == 0
    call("migratehold", "--on", "--database", database.alias)
    page = see(views.overview, "/", database.alias)
    assert "Not applied: a.0002_x." in page
    assert re.search(r"rolled back</span></td><td class=\"time\">2024-05-02 10:00:00<", page)
    assert "HELD migrate is held since" in page
    assert "reason   &lt;i&gt;" in page
    assert "column a&lt;b&gt;.x: 1 row kept" in page
    assert "<b>" not in page
    lines = re.findall(r'<span class="line">(.*?)</span>', page)
    option = "" if database.alias == "default" else f" --database {database.alias}"
    assert f"python manage.py migratehold --off{option} &amp;&amp; python manage.py migrate{option}" in lines


def test_the_plan_of_a_deployment(database: Database, site: Project) -> None:
    shop(site, database)
    before = rows(database.alias)
    link = re.findall(r'href="(/admin/rollbacks/[^"]+before[^"]+)"', see(views.overview, "/", database.alias))[0]
    page = see(views.plan, link, database.alias)
    assert "1 row has a value, kept" in page
    assert "python manage.py rollbackmigrationsafter &quot;2024-05-02 10:00:00+02:00&quot;" in page
    assert "--destroy-data" not in page
    assert rows(database.alias) == before
    everything = see(views.plan, link.replace("2024-05-02", "2024-05-01"), database.alias)
    assert "--destroy-data --expect " in everything


@on_sqlite
def test_many_deployments_have_pages(database: Database, site: Project) -> None:
    site(a={"0001_t": T, **{f"{number:04}_x": "" for number in range(2, 506)}})
    django_settings.MIGRATION_MODULES["admin"] = NO_MIGRATIONS
    deploy(database.alias, DAY_1)
    quoted = database.connection.ops.quote_name("django_migrations")
    for number, record in enumerate(rows(database.alias)):
        at = f"{DAY_1 + timedelta(days=number):%Y-%m-%d %H:%M:%S}"
        ask(database, f"UPDATE {quoted} SET applied = '{at}' WHERE id = {record.id}")
    first, last = see(views.overview, "/", "default"), see(views.overview, "/?page=26", "default")
    assert "Page 1 of 26" in first
    assert ("Older" in first, "Newer" in first) == (True, False)
    assert (first.count(">the plan<"), last.count(">the plan<")) == (20, 5)
    assert ("Older" in last, "Newer" in last) == (False, True)
    for page in ("0", "-1", "x", "²", ""):
        assert "Page 1 of 26" in see(views.overview, f"/?page={page}", "default")
    for page in ("27", "9" * 5000):
        with pytest.raises(Http404):
            see(views.overview, f"/?page={page}", "default")


@pytest.mark.parametrize("moment", ["", "last", "manifest:/etc/passwd", "manifest:-", "2024-05-02", "2024-05-02 10:00"])
@on_sqlite
def test_only_a_date_and_time_with_its_offset_is_a_moment(database: Database, site: Project, moment: str) -> None:
    shop(site, database)
    page = see(views.plan, f"/?before={moment}", "default", status=400)
    assert "This is no moment to go back to." in page


@on_sqlite
def test_a_database_that_cannot_be_read(database: Database, site: Project) -> None:
    site()
    assert "default: SQLite" in see(views.overview, "/", "default", status=503)
    with pytest.raises(Http404):
        see(views.overview, "/", "nowhere")


@on_sqlite
def test_what_cannot_be_told_does_not_hide_the_rest(database: Database, site: Project) -> None:
    shop(site, database)
    ask(database, "CREATE TABLE rollback_app_kept (other integer)")
    page = see(views.overview, "/", "default")
    assert "The catalogue of kept data, rollback_app_kept, of default" in page
    assert "No rollback was noted here." in page


def test_no_page_takes_for_ever(database: Database, site: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    shop(site, database)
    monkeypatch.setattr(views, "SECONDS", -1.0)
    for view in (views.overview, views.plan):
        page = see(view, "/?before=2024-05-02T08:00:00%2b00:00", database.alias, status=503)
        assert "takes longer than the -1 seconds" in page
    with database.connection.cursor() as cursor:  # and the connection works
        cursor.execute("SELECT 1")


@on_sqlite
def test_who_takes_the_error_for_one_of_theirs_does_not_win_time(database: Database, site: Project) -> None:
    def swallowing() -> None:
        with access.within("default", -1):
            for _ in range(2):
                with suppress(access.TooLong):
                    ask(database, "SELECT 1")

    with pytest.raises(access.TooLong):
        swallowing()


# Who may see it


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head", "options", "trace"])
@on_sqlite
def test_any_method_but_get_is_refused(database: Database, site: Project, method: str) -> None:
    for name, args in (("overview", []), ("database", ["default"]), ("plan", ["default"])):
        client = Client(enforce_csrf_checks=True)
        answer: HttpResponse = getattr(client, method)(reverse(f"rollback_app:{name}", args=args))
        assert (answer.status_code, answer["Allow"]) == (405, "GET")


@on_sqlite
def test_who_is_not_logged_in_is_sent_there(database: Database, site: Project) -> None:
    answer = Client().get("/admin/rollbacks/default/")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/admin/rollbacks/default/")


@on_sqlite
def test_it_takes_a_permission(database: Database, site: Project) -> None:
    """Which is no model's: who wants to give it to others than superusers makes it."""
    site(with_contrib=True)
    call("migrate", "auth", verbosity=0)
    users = get_user_model().objects
    clerk, root = users.create_user("clerk", is_staff=True), users.create_superuser("root")
    client = Client()
    assert client.get("/admin/rollbacks/").status_code == 302
    client.force_login(clerk)
    assert client.get("/admin/rollbacks/").status_code == 403
    kind = ContentType.objects.create(app_label="rollback_app", model="rollback")
    clerk.user_permissions.add(
        Permission.objects.create(codename="view_rollbacks", name="See rollbacks", content_type=kind)
    )
    answer = client.get("/admin/rollbacks/")
    assert answer.status_code == 200
    assert "no-cache" in answer["Cache-Control"]
    clerk.is_staff = False
    clerk.save()
    assert client.get("/admin/rollbacks/").status_code == 403
    client.force_login(root)
    assert client.get("/admin/rollbacks/").status_code == 200


@on_sqlite
def test_requests_that_are_transactions(database: Database, site: Project) -> None:
    shop(site, database)
    assert vars(views.overview)["_non_atomic_requests"] == set(connections)  # where Django looks for it
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    assert views.overview(request).status_code == 302
    request.user = get_user_model()(username="guest", is_active=False, is_staff=True)
    with pytest.raises(PermissionDenied):
        views.overview(request)


def test_dj_control_room_finds_it(site: Project) -> None:
    """By its entry point."""
    registry = PanelRegistry()
    registry.autodiscover()
    panel = registry.get_panel("rollback_app")
    assert isinstance(panel, Panel)
    assert panel.get_config() is None
    assert reverse(f"{panel.app_name}:{panel.get_url_name()}") == "/admin/rollbacks/"
