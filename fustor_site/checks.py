"""System checks: what is wrong with this installation's settings, and what to do. Run by every `manage.py` command and by `up`."""

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Advice

OLDEST_SQLITE = (3, 35)  # RETURNING
NETWORK_FILESYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "lustre", "glusterfs"})


@register(Tags.files)
def home(app_configs: Sequence[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """The home can be written, and is on a disk that SQLite works on."""
    path: Path = settings.FUSTOR_HOME
    found: list[CheckMessage] = []
    if not os.access(path, os.W_OK | os.X_OK):
        hint = "Give this user the right to write there, or name another directory with FUSTOR_HOME."
        found.append(Error(f"{path} cannot be written.", hint=hint, id="fustor.E001"))
    if settings.IS_SQLITE and (kind := _filesystem(path)) in NETWORK_FILESYSTEMS:
        hint = "Put FUSTOR_HOME on a local disk, or use PostgreSQL (DATABASE_URL)."
        found.append(Error(f"{path} is on a network file system ({kind}); SQLite loses data there.", hint=hint, id="fustor.E002"))
    return found


@register(Tags.database)
def database(app_configs: Sequence[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """The database is one of the two that the store speaks."""
    engine = str(settings.DATABASES["default"]["ENGINE"]).rsplit(".", 1)[-1]
    if engine not in {"sqlite3", "postgresql"}:
        hint = "DATABASE_URL=postgres://user:password@host/name, or leave it out for SQLite."
        return [Error(f"The database {engine} is not supported.", hint=hint, id="fustor.E003")]
    if engine == "sqlite3" and sqlite3.sqlite_version_info < OLDEST_SQLITE:
        hint = "Use a Python that is built with a newer SQLite, or PostgreSQL (DATABASE_URL)."
        return [Error(f"SQLite {sqlite3.sqlite_version} is too old; 3.35 is needed.", hint=hint, id="fustor.E004")]
    return []


@register(Tags.caches)
def broker(app_configs: Sequence[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """The broker's address is one that Celery, cache and channel layer all understand."""
    scheme = urlsplit(settings.FUSTOR_REDIS_URL).scheme
    if scheme not in {"redis", "rediss", "unix"}:
        hint = "FUSTOR_REDIS_URL=redis://host:6379/0, or unix:///path/redis.sock, or leave it out for the embedded server."
        return [Error(f"FUSTOR_REDIS_URL begins with {scheme!r}.", hint=hint, id="fustor.E005")]
    return []


@register(Tags.security)
def retention(app_configs: Sequence[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """The audit log is kept long enough."""
    if 0 < settings.FUSTOR_AUDIT_DAYS < 30:
        hint = "FUSTOR_AUDIT_DAYS is 30 or more, or 0 to keep the audit log for ever."
        return [Error(f"FUSTOR_AUDIT_DAYS is {settings.FUSTOR_AUDIT_DAYS}.", hint=hint, id="fustor.E006")]
    return []


@register(Tags.security, deploy=True)
def exposure(app_configs: Sequence[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """Nothing that makes a server on a network unsafe."""
    found: list[CheckMessage] = []
    if "*" in settings.ALLOWED_HOSTS:
        hint = "Name the hosts under which people reach the console in FUSTOR_ALLOWED_HOSTS."
        found.append(Advice("Any Host header is taken.", hint=hint, id="fustor.W001"))
    if any(len(pepper) < 32 for pepper in settings.FUSTOR_KEY_PEPPERS):
        hint = "Let the server make one (leave FUSTOR_KEY_PEPPERS out), or give at least 32 random characters."
        found.append(Advice("A pepper of the API keys is short.", hint=hint, id="fustor.W002"))
    return found


def _filesystem(path: Path) -> str:
    """The kind of file system a path is on, from the longest mount point above it; empty where /proc does not say."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    best, kind = "", ""
    for line in mounts.read_text(errors="replace").splitlines():
        _, point, found, *_ = line.split(" ")
        if len(point) >= len(best) and path.is_relative_to(point.replace("\\040", " ")):
            best, kind = point, found
    return kind
