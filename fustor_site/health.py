"""`/healthz` (the process answers) and `/readyz` (it can do its work). For supervisors, proxies and people."""

from collections.abc import Callable

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

from fustor_schema import __version__


async def healthz(request: HttpRequest) -> JsonResponse:
    """200 as long as the process answers at all; touches nothing else."""
    return JsonResponse({"status": "ok", "version": __version__})


def readyz(request: HttpRequest) -> JsonResponse:
    """200 once the database is migrated and database and broker are reachable, else 503 with what is wrong and what to do."""
    reasons = {name: reason for name, check in CHECKS.items() if (reason := check())}
    body = {"status": "not ready" if reasons else "ready", "checks": {name: reasons.get(name, "ok") for name in CHECKS}}
    return JsonResponse(body, status=503 if reasons else 200, headers={"Retry-After": "2"} if reasons else None)


def database_trouble() -> str:
    """Why the database cannot serve; empty when it can."""
    try:
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return f"The database cannot be reached ({error}). Check DATABASE_URL and that the server runs."
    if pending:
        return f"{len(pending)} migrations are not applied. Run: python manage.py migrate"
    return ""


def broker_trouble() -> str:
    """Why the broker cannot serve; empty when it can."""
    client = redis.Redis.from_url(settings.FUSTOR_REDIS_URL, socket_connect_timeout=2, socket_timeout=2)
    try:
        client.ping()
    except redis.RedisError as error:
        return f"Redis cannot be reached ({error}). Check FUSTOR_REDIS_URL and that the server runs."
    finally:
        client.close()
    return ""


CHECKS: dict[str, Callable[[], str]] = {"database": database_trouble, "broker": broker_trouble}
