"""The System page: what this server runs on, and whether each part answers right now. Linked from the menu, routed by urls."""

import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from apps.pipes.models import LegacyUse
from apps.pipes.permissions import Verb
from apps.runtime import clock, server_settings
from apps.runtime.console import page
from fustor_site.celery import app as celery_app
from fustor_site.legacy import SUNSET

WORKER_WAIT_SECONDS = 1.0
LEGACY_SHOWN = 20
QUEUES = ("default", "housekeeping")


@dataclass(frozen=True)
class Part:
    """One part of the installation and how it does. `level` is that of a status badge."""

    name: str
    level: str
    words: str
    detail: str = ""


@page(Verb.SURVEY)
def system(request: HttpRequest) -> HttpResponse:
    """`/system/`. Asking the workers takes up to a second, so the page loads them by a request of its own."""
    if request.headers.get("HX-Request"):
        return render(request, "system/workers.html", {"workers": workers()})
    context = {
        "parts": [database(), broker()],
        "version": installed_version(),
        "python": platform.python_version(),
        "home": settings.FUSTOR_HOME,
        "server_time": clock.now(),
        "clock_step": time.time() - clock.now(),
        "legacy_on": server_settings.switched_on("legacy_paths"),
        "legacy_until": SUNSET,
        "legacy_use": list(LegacyUse.objects.order_by("-last_at")[:LEGACY_SHOWN]),
        "legacy_calls": LegacyUse.objects.aggregate(calls=Sum("count"))["calls"] or 0,
    }
    return render(request, "system/index.html", context)


def installed_version() -> str:
    """The version of the installed package; a checkout that was never installed has none."""
    try:
        return version("fustor")
    except PackageNotFoundError:
        return "run from a checkout"


def database() -> Part:
    """Whether the database answers, how fast, and what it is."""
    started = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return Part("Database", "bad", "does not answer", str(error))
    detail = f"{connection.display_name}, answered in {(time.perf_counter() - started) * 1000:.1f} ms"
    return Part("Database", "ok", "answers", detail)


def broker() -> Part:
    """Whether Redis answers, and what waits in the queues."""
    client = redis.Redis.from_url(settings.FUSTOR_REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    try:
        waiting = {queue: int(client.llen(queue)) for queue in QUEUES}
        about = client.info("server")
    except redis.RedisError as error:
        return Part("Redis", "bad", "does not answer", f"{error}. Live pages poll and jobs travel as commands meanwhile.")
    finally:
        client.close()
    queues = ", ".join(f"{queue}: {count} waiting" for queue, count in waiting.items())
    return Part("Redis", "ok", "answers", f"version {about['redis_version']}; {queues}")


def workers() -> list[Part]:
    """The Celery workers that answer within a second; agents with a queue of their own are among them."""
    try:
        answers = celery_app.control.ping(timeout=WORKER_WAIT_SECONDS) or []
    except (redis.RedisError, OSError) as error:
        return [Part("Workers", "bad", "cannot be asked", str(error))]
    found = [Part(name, "ok", "answers") for answer in answers for name in answer]
    return sorted(found, key=lambda part: part.name) or [
        Part("Workers", "bad", "none answers", "Housekeeping stands still: start `celery -A fustor_site worker -B`.")
    ]
