"""What people leave in the tables: made after the second deployment, with the models as they are then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils.timezone import now


def make(apps: Any) -> None:
    user = apps.get_model("auth", "User").objects.create(username="ada", password="!", email="ada@example.com")
    {"accounts": _accounts, "publishing": _publishing, "shop": _shop}[settings.PROJECT](_maker(apps), user)


def _maker(apps: Any) -> Callable[..., Any]:
    return lambda label, model, /, **values: apps.get_model(label, model).objects.create(**values)


def _accounts(make: Callable[..., Any], user: Any) -> None:
    """Nothing for token_blacklist: undoing its 0005 adds a column that may not be null and has no default."""
    make("account", "EmailAddress", user=user, email="ada@example.com", verified=True, primary=True)
    make("authtoken", "Token", user=user, key="k" * 40)
    make("axes", "AccessLog", username="ada", ip_address="192.0.2.1", user_agent="a browser", path_info="/")
    every = make("django_celery_beat", "IntervalSchedule", every=5, period="minutes")
    make("django_celery_beat", "PeriodicTask", name="sweep", task="sweep", interval=every)
    make("oauth2_provider", "Application", name="reader", user=user, client_id="reader", client_secret="pbkdf2$x")
    make("socialaccount", "SocialAccount", user=user, provider="example", uid="1", extra_data="{}")
    make("waffle", "Flag", name="new-ui", note="ready", everyone=True)


def _publishing(make: Callable[..., Any], user: Any) -> None:
    kind = make("contenttypes", "ContentType", app_label="library", model="shelf")
    tag = make("taggit", "Tag", name="engines", slug="engines")
    make("taggit", "TaggedItem", tag=tag, content_type=kind, object_id=1)
    author = make("library", "Author", name="Ada Lovelace")
    book = make("library", "Publication", title="Notes", writer=author, lent_to=user)
    entry = {"id": book.pk, "title": "Note", "writer": author, "history_date": now(), "history_type": "+"}
    make("library", "HistoricalPublication", **entry)
    make("reversion", "Revision", user=user, comment="the first", date_created=now())
    page = {
        "path": "00010002",
        "depth": 2,
        "numchild": 0,
        "title": "Engines",
        "slug": "engines",
        "url_path": "/engines/",
    }
    make("wagtailcore", "Page", owner=user, content_type=kind, **page)
    make("wagtailredirects", "Redirect", old_path="/machines", redirect_link="/engines/")


def _shop(make: Callable[..., Any], user: Any) -> None:
    """Nothing for filer: undoing its 0017 adds columns that may not be null and have no default."""
    kind = make("catalogue", "ProductClass", name="Book", slug="book")
    product = make("catalogue", "Product", title="Emma", slug="emma", product_class=kind, structure="standalone")
    basket = make("basket", "Basket", owner=user, status="Open")
    partner = make("partner", "Partner", code="shelf", name="Shelf")
    stock = make("partner", "StockRecord", product=product, partner=partner, partner_sku="1")
    make("basket", "Line", basket=basket, product=product, stockrecord=stock, line_reference="1", quantity=2)
    make("social_django", "UserSocialAuth", user=user, provider="github", uid="1", extra_data="{}")
    make("easy_thumbnails", "Source", storage_hash="x", name="emma.png", modified=now())
