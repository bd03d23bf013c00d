"""What a fresh home needs before its first start: an administrator, and the local agent with its pipe, view and key.

Used by supervisor/up.py on every start; what is there already is left alone.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth import get_user_model

from apps.runtime.ids import new_secret
from fustor_site.supervisor.local_agent import LocalAgent, enrol


@dataclass(frozen=True)
class Prepared:
    """`password`: the administrator's, only when it was made just now. `agent`: what to run beside the server."""

    password: str | None
    agent: LocalAgent | None


def prepare(home: Path, watch: Path | None, url: str, *, with_agent: bool) -> Prepared:
    """Make what is missing. Every step is done once per home; `url` is where the local agent reaches the server."""
    password = ensure_admin(os.environ.get("FUSTOR_ADMIN_PASSWORD") or None)
    return Prepared(password, enrol(home, watch, url) if with_agent else None)


def ensure_admin(given: str | None) -> str | None:
    """Make the user `admin` when there is none. The password to show, when it was made here and not given."""
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return None
    password = given or new_secret()[:20]
    users.create_superuser("admin", password=password)
    return None if given else password
