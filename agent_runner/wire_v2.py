"""How events look to a server of protocol 2: whole rows, no `move`, no `gap`, no `dir_close`. Pure; used by mapping.py."""

from collections.abc import Callable
from typing import Any

from fustor_schema.sources import EventType
from fustor_schema.wire import Event, FsRow

Projection = Callable[[FsRow], dict[str, Any]] | None


def events(event: Event, project: Projection = None) -> list[dict[str, Any]]:
    """The protocol 2 events that stand for one event, in order; none when protocol 2 has no word for it.

    A rename becomes a delete and an insert: what lies below a renamed directory must be scanned again.
    """
    if event.event_type == EventType.GAP:
        return []
    if event.event_type == EventType.MOVE:
        deleted = _event(event, EventType.DELETE.value, [{"path": event.from_}])
        inserted = _event(event, EventType.INSERT.value, [_row(row, project) for row in event.rows])
        return [deleted, inserted] if event.rows else [deleted]
    rows = [_row(row, project) for row in event.rows if row.kind != "dir_close"]
    if event.event_type == EventType.DELETE:
        rows = [{"path": row.path} for row in event.rows]
    return [_event(event, event.event_type, rows)] if rows else []


def _event(event: Event, event_type: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    index = int(event.index or 0)
    return {
        "timestamp": index / 1000,
        "event_type": event_type,
        "fields": sorted(rows[0]) if rows else [],
        "rows": rows,
        "index": index,
        "event_schema": "fs",
        "table": "files",
        "message_source": event.message_source,
        "metadata": {},
    }


def _row(row: FsRow, project: Projection) -> dict[str, Any]:
    path = row.path or "/"
    whole = {
        "path": path,
        "file_name": path.rpartition("/")[2],
        "size": row.size,
        "modified_time": row.modified_time,
        "created_time": row.created_time,
        "is_directory": row.is_directory,
        "is_atomic_write": row.is_atomic_write,
        "audit_skipped": row.audit_skipped,
    }
    return whole if project is None else whole | project(row)
