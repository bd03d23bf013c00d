"""What this app needs from the apps above it. apps.sessions plugs its side in when Django starts; imports go one way only.

A port that nobody filled raises `Unavailable` (asking for a scan), knows nothing (labels of sessions), or shows nothing (persons).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.runtime.problems import Unavailable
from apps.views.access import Principal
from apps.views.models import View


@dataclass(frozen=True, slots=True)
class SessionLabel:
    """What people may know of the session that decided a node. `session` is the masked session id."""

    agent_id: str
    source_uri: str
    task_id: str
    session: str


class RequestScan(Protocol):
    """Ask the source to look at a path again; the same path asked twice is one job (R45)."""

    def __call__(self, view: View, path: str, recursive: bool, actor: str) -> str:
        """The id of the job. Raises Unavailable when no session could run it."""
        ...


class PendingScan(Protocol):
    """The unfinished scan job that covers a path of a view, if there is one."""

    def __call__(self, view: View, path: str) -> str | None:
        """The id of the job, or None."""
        ...


class SessionLabels(Protocol):
    """Names of sessions by their numbers; unknown numbers are left out."""

    def __call__(self, numbers: Collection[int]) -> Mapping[int, SessionLabel]:
        """Labels by Session.number."""
        ...


class PersonPrincipal(Protocol):
    """The principal of a person who is logged in to the console."""

    def __call__(self, user: AbstractBaseUser) -> Principal:
        """What this person may see and do."""
        ...


class Record(Protocol):
    """Put on record what somebody did to a view (the audit log)."""

    def __call__(self, request: HttpRequest, actor: str, verb: str, target: str) -> None:
        """In the transaction of the deed. `request`: where it came from."""
        ...


class WatchedUntil(Protocol):
    """Until when the session with this number surely heard every change of its source (R49)."""

    def __call__(self, session: int) -> float | None:
        """Server seconds of its last sign of life, if it lives and hears changes in realtime; else None."""
        ...


def _no_scan(view: View, path: str, recursive: bool, actor: str) -> str:
    raise Unavailable("No part of this server can run scans.", code="no_scanner", retry_after=30)


def _no_pending_scan(view: View, path: str) -> str | None:
    return None


class _Nobody:
    """A person while nothing with roles is plugged in: may see nothing."""

    def __init__(self, user: AbstractBaseUser) -> None:
        self.name = user.get_username()

    def may_read(self, view: View) -> bool:
        return False

    def may_administer(self, view: View) -> bool:
        return False

    def may_scan(self, view: View) -> bool:
        return False

    def may_run(self, view: View) -> bool:
        return False

    def check_confirmed(self) -> None:
        """Raise Forbidden when the person must confirm first who they are."""

    def readable_views(self) -> QuerySet[View]:
        return View.objects.none()


def _no_record(request: HttpRequest, actor: str, verb: str, target: str) -> None:
    return


def _no_labels(numbers: Collection[int]) -> Mapping[int, SessionLabel]:
    return {}


def _not_watched(session: int) -> float | None:
    return None


@dataclass(slots=True)
class Ports:
    """The plugs. Set once, in AppConfig.ready() of the app that fills them."""

    request_scan: RequestScan = field(default=_no_scan)
    pending_scan: PendingScan = field(default=_no_pending_scan)
    session_labels: SessionLabels = field(default=_no_labels)
    watched_until: WatchedUntil = field(default=_not_watched)
    person: PersonPrincipal = field(default=_Nobody)
    record: Record = field(default=_no_record)


ports = Ports()
