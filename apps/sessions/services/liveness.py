"""Who is alive: cheap beats. Called by services.sessions on every heartbeat, by the ingestion fence and by expiry.

A beat goes to Redis at once and to the database later: at most every quarter of the session's timeout, in one small
transaction per process for all sessions that beat meanwhile. So a heartbeat never waits for the database's writer (R31), and with
Redis away the database alone still knows every live session to within a quarter of its timeout.
"""

import atexit
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
import structlog
from django.conf import settings
from django.core.cache import caches
from django.db import DatabaseError, connection, transaction

from apps.runtime import hints
from apps.sessions.models import Session, StateChange
from apps.sessions.services import agents
from apps.sessions.transitions import objection
from fustor_schema.pipestate import PipeState

log = structlog.get_logger(__name__)

REDIS_PAUSE_SECONDS = 2.0


@dataclass(frozen=True)
class Report:
    """What a heartbeat says beside being alive."""

    can_realtime: bool
    state: int
    agent_status: dict[str, Any]

    def differs_from(self, session: Session) -> bool:
        """Whether the session row has to be rewritten."""
        return (self.can_realtime, self.state, self.agent_status) != (
            session.can_realtime,
            session.state,
            session.agent_status,
        )


@dataclass
class _Pending:
    session: Session
    at: float
    report: Report | None


class _Buffer:
    """The beats of this process that the database does not know yet, one per session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._writer: threading.Thread | None = None

    def add(self, session: Session, at: float, report: Report | None) -> None:
        with self._lock:
            known = self._pending.get(session.number)
            if known is not None:
                at, report = max(at, known.at), report or known.report
            self._pending[session.number] = _Pending(session, at, report)
        if settings.FUSTOR_BEAT_FLUSH_SECONDS <= 0:
            self.flush()
        elif self._writer is None or not self._writer.is_alive():
            self._start()

    def at(self, number: int) -> float:
        pending = self._pending.get(number)
        return pending.at if pending else 0.0

    def flush(self) -> None:
        """Write everything; what cannot be written stays for the next time."""
        with self._lock:
            taken, self._pending = self._pending, {}
        if not taken:
            return
        try:
            _write(list(taken.values()))
        except DatabaseError as error:
            log.warning("heartbeats not written yet", sessions=len(taken), error=str(error))
            with self._lock:
                self._pending = taken | self._pending

    def _start(self) -> None:
        with self._lock:
            if self._writer is None or not self._writer.is_alive():
                self._writer = threading.Thread(target=self._run, name="heartbeat-writer", daemon=True)
                self._writer.start()
                atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            time.sleep(settings.FUSTOR_BEAT_FLUSH_SECONDS)
            self.flush()
            connection.close_if_unusable_or_obsolete()


_buffer = _Buffer()
_redis_rests_until = 0.0


def beat(session: Session, at: float, report: Report) -> None:
    """Note that the session was alive at `at` (server seconds), and what it reported."""
    _beat_to_redis(session, at)
    changed = report if report.differs_from(session) else None
    if changed is not None or at - session.last_active_at.timestamp() >= session.timeout_seconds / 4:
        _buffer.add(session, at, changed)


def flush() -> None:
    """Write the pending beats of this process now."""
    _buffer.flush()


def last_seen(sessions: list[Session]) -> dict[int, float]:
    """Session.number → server seconds of its last sign of life, from the database, this process and Redis."""
    seen = {session.number: max(session.last_active_at.timestamp(), _buffer.at(session.number)) for session in sessions}
    for number, at in _beats_in_redis(list(seen)).items():
        seen[number] = max(seen[number], at)
    return seen


def is_silent(session: Session, at: float) -> bool:
    """True when its timeout has passed without a sign of life. At exactly the timeout it still lives."""
    if at - session.last_active_at.timestamp() <= session.timeout_seconds:
        return False
    return at - last_seen([session])[session.number] > session.timeout_seconds


def _key(number: int) -> str:
    return f"beat:{number}"


def _beat_to_redis(session: Session, at: float) -> None:
    if time.monotonic() >= _redis_rests_until:
        try:
            caches["default"].set(_key(session.number), at, timeout=2 * session.timeout_seconds)
        except (redis.RedisError, OSError) as error:
            _rest_redis(error)


def _beats_in_redis(numbers: list[int]) -> dict[int, float]:
    if not numbers or time.monotonic() < _redis_rests_until:
        return {}
    try:
        found = caches["default"].get_many([_key(number) for number in numbers])
    except (redis.RedisError, OSError) as error:
        _rest_redis(error)
        return {}
    return {int(key.rpartition(":")[2]): float(at) for key, at in found.items()}


def _rest_redis(error: Exception) -> None:
    # asking a broker that is away again on every beat would cost each beat a connection attempt
    global _redis_rests_until
    _redis_rests_until = time.monotonic() + REDIS_PAUSE_SECONDS
    log.warning("Redis is away; heartbeats live in the database alone", error=str(error))


def _write(pendings: list[_Pending]) -> None:
    with transaction.atomic():
        for pending in pendings:
            _write_one(pending)


def _write_one(pending: _Pending) -> None:
    live = Session.objects.filter(number=pending.session.number, ended_at__isnull=True)
    at = datetime.fromtimestamp(pending.at, UTC)
    live.filter(last_active_at__lt=at).update(last_active_at=at)
    agents.still_seen(pending.session.agent_name, at)
    if pending.report is None:
        return
    report = pending.report
    before = live.values_list("state", flat=True).first()
    if before is None:
        return
    live.update(can_realtime=report.can_realtime, state=report.state, agent_status=report.agent_status)
    if before != report.state:
        _record_transition(pending.session, at, before, report.state)
    hints.changed("fleet", f"session.{pending.session.number}", f"pipe.{pending.session.pipe_id}")


def _record_transition(session: Session, at: datetime, before: int, after: int) -> None:
    StateChange.objects.create(
        session=session, at=at, before=before, after=after, objection=objection(PipeState(before), PipeState(after))
    )


def refresh(session: Session, at: float) -> None:
    """Bring the database's idea of the session's last sign of life up to `at`, never back."""
    moment = datetime.fromtimestamp(at, UTC)
    Session.objects.filter(number=session.number, ended_at__isnull=True, last_active_at__lt=moment).update(last_active_at=moment)
