"""A release of the example shop that serves on a port, `PORT RELEASE`: it takes an order, as its customers do, and does not keep
it. `PORT` alone asks whether it does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from urllib.error import HTTPError, URLError
from urllib.request import urlopen
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
from django.db import transaction
from django.utils import timezone


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def order() -> None:
    from example_project.accounts.models import User
    from example_project.orders.models import Order

    with transaction.atomic():
        customer = User.objects.create(username="health")
        Order.objects.create(customer=customer, placed=timezone.now())
        list(Order.objects.all())
        transaction.set_rollback(True)


def serve(environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
    try:
        order()
    except Exception as error:  # noqa: BLE001
        start_response("500 Sick", [])
        return [repr(error).encode()]
    start_response("200 OK", [])
    return [sys.argv[2].encode()]


def healthy(port: int) -> bool:
    for _ in range(300):  # until it has started
        try:
            with urlopen(f"http://127.0.0.1:{port}/", timeout=60):
                return True
        except HTTPError:
            return False
        except URLError:
            time.sleep(0.1)
    return False


if __name__ == "__main__":
    if len(sys.argv) == 2:
        sys.exit(not healthy(int(sys.argv[1])))
    django.setup()
    make_server("127.0.0.1", int(sys.argv[1]), serve, handler_class=Quiet).serve_forever()  # type: ignore[arg-type]
