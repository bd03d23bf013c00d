"""Builds the wire events of the realtime phase from what the watcher saw. No decisions here; used by watcher.py and observer.py."""

import os
from collections.abc import Sequence

from agent_runner import clock
from agent_runner.sources.fs import rows
from fustor_schema.wire import Event, FsRow

EVENT_ROWS = 500


def upsert(key: str, status: os.stat_result, *, created: bool, atomic: bool) -> Event:
    """A path as lstat sees it now."""
    return _event("insert" if created else "update", [rows.row(key, status, atomic=atomic)], clock.monotonic_ms())


def listed(found: Sequence[FsRow]) -> Event:
    """Several paths of one new directory, just listed."""
    return _event("insert", list(found), clock.monotonic_ms())


def deleted(key: str, at: int) -> Event:
    """A path, and what lies below it, is gone since `at` (monotonic ms)."""
    return _event("delete", [rows.gone(key)], at)


def moved(source: str, target: str, status: os.stat_result | None, at: int) -> Event:
    """One rename, subtree included, with the destination's row (R39); without it when the destination is gone again already."""
    event = _event("move", [rows.row(target, status)] if status is not None else [], at)
    event.from_, event.from_b64 = rows.path_fields(source)
    event.to, event.to_b64 = rows.path_fields(target)
    return event


def gap(scope: str, reason: str) -> Event:
    """From here on nothing is known of the scope until it is scanned again (R37)."""
    event = _event("gap", [], clock.monotonic_ms())
    event.scope, event.scope_b64 = rows.path_fields(scope)
    event.reason = reason
    return event


def _event(event_type: str, found: list[FsRow], at: int) -> Event:
    return Event(
        event_type=event_type,
        rows=found,
        message_source="realtime",
        event_schema="fs",
        table="files",
        index=clock.wall_ms(),
        observed_at=at,
    )
