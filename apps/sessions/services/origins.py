"""The Origin of a session's claims on one tree: who says it, in which term, and how its clock relates to ours."""

from collections.abc import Mapping

from apps.sessions import offsets
from apps.sessions.models import Session
from apps.views.claims import Origin
from apps.views.models import Tree
from fustor_schema.sources import PROTOCOL_V3

MOST_ATTR_CACHE_SECONDS = 86_400


def origin_of(session: Session, tree: Tree, epochs: Mapping[int, int]) -> Origin:
    """`epochs`: tree id → epoch of the trees that the session leads."""
    of_clock = offsets.of_monotonic_clock if session.protocol >= PROTOCOL_V3 else offsets.of_wall_clock
    offset = of_clock(session.clock)
    return Origin(
        session=session.number,
        session_id=str(session.id),
        task_id=session.task_id,
        agent_id=session.agent_name,
        source_uri=session.source_uri,
        protocol=session.protocol,
        is_leader=tree.pk in epochs,
        epoch=epochs.get(tree.pk, 0),
        clock_offset_ms=offset.offset_ms,
        clock_error_ms=offset.error_ms,
        attr_cache_ms=_attr_cache_ms(session),
    )


def _attr_cache_ms(session: Session) -> int | None:
    """What the agent said of its mount when it opened the session; None when it said nothing that is a time (R13)."""
    host = session.client_info.get("host")
    seconds = host.get("attr_cache_seconds") if isinstance(host, dict) else None
    known = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < MOST_ATTR_CACHE_SECONDS
    return int(seconds * 1000) if known and seconds is not None else None
