"""What is read and written of a session around every batch, as prepared statements. Called by services.ingest.

The ORM costs several milliseconds a batch here, ten times what the engine needs for a batch of one event.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from apps.sessions.models import Session
from apps.sessions.services.glance import parsed_id, seconds_of

_SENDER: Final = """
SELECT s.number, s.id, s.task_id, s.agent_name, s.source_uri, s.root_id, s.protocol, s.timeout_seconds, s.client_info, s.clock,
       s.last_index, s.last_active_at, s.ended_at, p.id, p.slug, p.paused, p.enabled AND r.enabled, r.settings
FROM fustor_sessions_session s
JOIN fustor_pipes_pipe p ON p.id = s.pipe_id
JOIN fustor_pipes_receiver r ON r.id = p.receiver_id
WHERE s.id = %s
"""
_TARGETS: Final = """
SELECT t.id, t.view_id, COALESCE(l.epoch, 0)
FROM fustor_pipes_pipeview v
JOIN fustor_views_view w ON w.id = v.view_id
JOIN fustor_views_tree t ON t.view_id = w.id
LEFT JOIN fustor_sessions_leadership l ON l.tree_id = t.id AND l.session_id = %s
WHERE v.pipe_id = %s AND w.enabled AND t.scope = CASE WHEN w.driver = 'fs-forest' THEN %s ELSE '' END
ORDER BY t.id
"""
_COUNT: Final = """
UPDATE fustor_sessions_session
SET last_batch_at = %s, last_active_at = %s, silent_after = %s, clock = %s, batches = batches + 1, events = events + %s,
    "rows" = "rows" + %s, rejected = rejected + %s, last_index = CASE WHEN last_index < %s THEN %s ELSE last_index END
WHERE number = %s
"""
_COUNT_DUPLICATE: Final = """
UPDATE fustor_sessions_session SET duplicates = duplicates + 1, last_active_at = %s, silent_after = %s WHERE number = %s
"""
_ADVANCE: Final = """
UPDATE fustor_sessions_sessionstream SET committed_seq = %s WHERE session_id = %s AND stream = %s AND committed_seq = %s
"""
_RECALL: Final = "SELECT answer FROM fustor_sessions_receivedbatch WHERE session_id = %s AND token = %s AND at >= %s"
_REMEMBER: Final = """
INSERT INTO fustor_sessions_receivedbatch (session_id, token, at, answer) VALUES (%s, %s, %s, %s)
ON CONFLICT (session_id, token) DO UPDATE SET at = excluded.at, answer = excluded.answer
"""


@dataclass(slots=True)
class Sender:
    """The session that a batch comes from, with what its pipe and receiver say of batches. Times in server seconds."""

    number: int
    id: uuid.UUID
    task_id: str
    agent_name: str
    source_uri: str
    root_id: str
    protocol: int
    timeout_seconds: int
    client_info: dict[str, Any]
    clock: dict[str, Any]
    last_index: int
    last_active: float
    has_ended: bool
    pipe_id: int
    pipe_slug: str
    is_paused: bool
    pipe_is_on: bool
    receiver_settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """One tree that the sender's pipe feeds. `epoch`: the term in which the sender leads it; 0 when it does not."""

    tree_id: int
    view_id: int
    epoch: int


def sender(session_id: str, *, lock: bool = False) -> Sender | None:
    """The session; None when there is none. `lock`: nobody can end it until the transaction does."""
    key = parsed_id(session_id)
    if key is None:
        return None
    suffix = "FOR NO KEY UPDATE OF s" if lock and connection.features.has_select_for_update else ""
    with connection.cursor() as cursor:
        cursor.execute(_SENDER + suffix, [Session._meta.get_field("id").get_db_prep_value(key, connection)])
        row = cursor.fetchone()
    return _sender(row) if row else None


def _sender(row: tuple[Any, ...]) -> Sender:
    *who, client_info, clock, last_index, active, ended, pipe_id, slug, paused, is_on, settings = row
    number, session_id, task_id, agent_name, source_uri, root_id, protocol, timeout = who
    return Sender(
        number=number,
        id=uuid.UUID(str(session_id)),
        task_id=task_id,
        agent_name=agent_name,
        source_uri=source_uri,
        root_id=root_id,
        protocol=protocol,
        timeout_seconds=timeout,
        client_info=json.loads(client_info),
        clock=json.loads(clock),
        last_index=last_index,
        last_active=seconds_of(active),
        has_ended=ended is not None,
        pipe_id=pipe_id,
        pipe_slug=slug,
        is_paused=bool(paused),
        pipe_is_on=bool(is_on),
        receiver_settings=json.loads(settings),
    )


def targets(of: Sender) -> list[Target]:
    """The trees of the views that are switched on, in id order (the order of locking)."""
    with connection.cursor() as cursor:
        cursor.execute(_TARGETS, [of.number, of.pipe_id, of.pipe_slug])
        return [Target(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Entry:
    """What one committed batch adds to its session's row. `newest_index` 0: it says nothing about where to resume."""

    events: int
    rows: int
    rejected: int
    newest_index: int


def count(of: Sender, entry: Entry, at: datetime) -> None:
    """Add a committed batch to the session; it is a sign of life too."""
    now, silent = _signs_of_life(of, at)
    index = entry.newest_index
    numbers = (entry.events, entry.rows, entry.rejected, index, index, of.number)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [now, now, silent, json.dumps(of.clock), *numbers])


def count_duplicate(of: Sender, at: datetime) -> None:
    """Note that a batch was acknowledged without effect."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_DUPLICATE, [*_signs_of_life(of, at), of.number])


def _signs_of_life(of: Sender, at: datetime) -> tuple[Any, Any]:
    adapt = connection.ops.adapt_datetimefield_value
    return adapt(at), adapt(at + timedelta(seconds=of.timeout_seconds))


def advance(of: Sender, stream: str, seq: int) -> bool:
    """Move the stream's mark from seq − 1 to seq; False when it does not stand there."""
    with connection.cursor() as cursor:
        cursor.execute(_ADVANCE, [seq, of.number, stream, seq - 1])
        return bool(cursor.rowcount == 1)


def recall(of: Sender, token: str, since: datetime) -> dict[str, Any] | None:
    """The answer that a batch with this token got since then."""
    with connection.cursor() as cursor:
        cursor.execute(_RECALL, [of.number, token, connection.ops.adapt_datetimefield_value(since)])
        row = cursor.fetchone()
    return dict(json.loads(row[0])) if row else None


def remember(of: Sender, token: str, at: datetime, answer: dict[str, Any]) -> None:
    """Keep the answer, to recognise a repetition."""
    with connection.cursor() as cursor:
        cursor.execute(_REMEMBER, [of.number, token, connection.ops.adapt_datetimefield_value(at), json.dumps(answer)])
