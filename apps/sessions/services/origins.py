"""The Origin of a session's claims on one tree: who says it, in which term, and how its clock relates to ours."""

import uuid
from typing import Any, Protocol

from apps.sessions import offsets
from apps.views.claims import Origin
from fustor_schema.sources import PROTOCOL_V3

MOST_ATTR_CACHE_SECONDS = 86_400


class Speaker(Protocol):
    """A session, as a row of the ORM or as the ledger reads it."""

    number: int
    id: uuid.UUID
    task_id: str
    agent_name: str
    source_uri: str
    protocol: int
    client_info: dict[str, Any]
    clock: dict[str, Any]
    root_id: str


def origin_of(session: Speaker, epoch: int) -> Origin:
    """`epoch`: the term in which the session leads the tree; 0 when it does not."""
    of_clock = offsets.of_monotonic_clock if session.protocol >= PROTOCOL_V3 else offsets.of_wall_clock
    offset = of_clock(session.clock)
    return Origin(
        session=session.number,
        session_id=str(session.id),
        task_id=session.task_id,
        agent_id=session.agent_name,
        source_uri=session.source_uri,
        protocol=session.protocol,
        is_leader=epoch > 0,
        epoch=epoch,
        clock_offset_ms=offset.offset_ms,
        clock_error_ms=offset.error_ms,
        attr_cache_ms=_attr_cache_ms(session),
        root_id=session.root_id,
    )


def _attr_cache_ms(session: Speaker) -> int | None:
    """What the agent said of its mount when it opened the session; None when it said nothing that is a time (R13)."""
    host = session.client_info.get("host")
    seconds = host.get("attr_cache_seconds") if isinstance(host, dict) else None
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < MOST_ATTR_CACHE_SECONDS
    return int(seconds * 1000) if known and seconds is not None else None
