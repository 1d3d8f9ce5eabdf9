"""Who may look, and how: only looking, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from rollback_app.errors import RollbackError

PERMISSION = "rollback_app.view_rollbacks"
View = Callable[..., HttpResponse]


class TooLong(RollbackError):
    """It was not done in time."""


def only_looking(view: View) -> View:
    """For those who may use the admin and have the permission, as superusers do. Any method but GET is 405."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        if request.method != "GET":
            return HttpResponseNotAllowed(["GET"])
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if not (admin.site.has_permission(request) and request.user.has_perm(PERMISSION)):
            raise PermissionDenied
        return view(request, *args, **options)

    # A plan is looked at in a transaction of its own, whatever ATOMIC_REQUESTS says. What changes nothing needs no token.
    found: Any = never_cache(csrf_exempt(guarded))
    for alias in connections:
        found = transaction.non_atomic_requests(using=alias)(found)
    return found  # type: ignore[no-any-return]


@contextmanager
def within(alias: str, seconds: float) -> Iterator[None]:
    """After so many seconds no statement is begun any more, but for those that clean up. Errors: TooLong."""
    end, late = time.monotonic() + seconds, False

    def begin(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal late
        if not late and time.monotonic() > end:
            late = True
            raise _too_long(seconds)
        return execute(sql, params, many, context)

    with connections[alias].execute_wrapper(begin):
        yield
    if late:  # and somebody took the error for one of theirs
        raise _too_long(seconds)


def _too_long(seconds: float) -> TooLong:
    return TooLong(
        f"This takes longer than the {seconds:g} seconds that a page may take.",
        hint="Use the commands in a shell, where it may take its time.",
    )
