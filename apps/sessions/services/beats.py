"""Beats on their way to the database: gathered per process, written four times a second in one small transaction.

Called by services.liveness. So a heartbeat never waits for the database's one writer while a big batch is applied (R31).
"""

import atexit
import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from apps.runtime import hints
from apps.sessions.models import StateChange
from apps.sessions.services import agents
from apps.sessions.services.glance import Glance
from apps.sessions.transitions import objection
from fustor_schema.pipestate import PipeState

log = structlog.get_logger(__name__)

_ALIVE = """
UPDATE fustor_sessions_session SET last_active_at = %s, silent_after = %s
WHERE number = %s AND ended_at IS NULL AND last_active_at < %s
"""
_REPORTED = """
UPDATE fustor_sessions_session SET can_realtime = %s, state = %s, agent_status = %s
WHERE number = %s AND ended_at IS NULL
"""


@dataclass(frozen=True)
class Report:
    """What a heartbeat says beside being alive."""

    can_realtime: bool
    state: int
    agent_status: dict[str, Any]

    def differs_from(self, glance: Glance) -> bool:
        """Whether the session's row has to be rewritten."""
        return (self.can_realtime, self.state, self.agent_status) != (glance.can_realtime, glance.state, glance.agent_status)


@dataclass(frozen=True)
class Beat:
    """One sign of life: of which session, as it stood then; at which server second; and what changed, if anything did."""

    glance: Glance
    at: float
    report: Report | None


class Gathered:
    """The beats of this process that the database does not know yet, the newest per session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._beats: dict[int, Beat] = {}
        self._writer: threading.Thread | None = None

    def add(self, beat: Beat) -> None:
        """Keep the beat until the next write (at once when FUSTOR_BEAT_FLUSH_SECONDS is 0)."""
        with self._lock:
            known = self._beats.get(beat.glance.number)
            if known is not None:
                beat = Beat(known.glance, max(beat.at, known.at), beat.report or known.report)
            self._beats[beat.glance.number] = beat
        if settings.FUSTOR_BEAT_FLUSH_SECONDS <= 0:
            self.flush()
        else:
            self._ensure_writer()

    def at(self, number: int) -> float:
        """Server seconds of the session's beat that waits here; 0 for none."""
        beat = self._beats.get(number)
        return beat.at if beat else 0.0

    def flush(self) -> None:
        """Write everything; what cannot be written stays for the next time."""
        with self._lock:
            taken, self._beats = self._beats, {}
        if not taken:
            return
        try:
            write(list(taken.values()))
        except DatabaseError as error:
            log.warning("heartbeats not written yet", sessions=len(taken), error=str(error))
            with self._lock:
                self._beats = taken | self._beats

    def _ensure_writer(self) -> None:
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


def write(beats: list[Beat]) -> None:
    """Write the beats in one transaction, with a constant number of statements but for changes of state."""
    reported = [(beat, beat.report) for beat in beats if beat.report is not None]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.executemany(_ALIVE, [_alive(beat.glance.number, beat.glance.timeout_seconds, beat.at) for beat in beats])
            cursor.executemany(
                _REPORTED,
                [
                    (report.can_realtime, report.state, json.dumps(report.agent_status), beat.glance.number)
                    for beat, report in reported
                ],
            )
        StateChange.objects.bulk_create(_transitions(reported))
        agents.still_seen({beat.glance.agent_name for beat in beats}, datetime.fromtimestamp(max(beat.at for beat in beats), UTC))
        hints.changed(*_watched(beat.glance for beat, _ in reported))


def refresh(number: int, timeout_seconds: int, at: float) -> None:
    """Bring the database's idea of one session's last sign of life up to `at`, never back."""
    with connection.cursor() as cursor:
        cursor.execute(_ALIVE, _alive(number, timeout_seconds, at))


def _alive(number: int, timeout_seconds: int, at: float) -> tuple[Any, ...]:
    moment = datetime.fromtimestamp(at, UTC)
    adapt = connection.ops.adapt_datetimefield_value
    return (adapt(moment), adapt(moment + timedelta(seconds=timeout_seconds)), number, adapt(moment))


def _transitions(reported: Iterable[tuple[Beat, Report]]) -> list[StateChange]:
    return [
        StateChange(
            session_id=beat.glance.number,
            at=datetime.fromtimestamp(beat.at, UTC),
            before=beat.glance.state,
            after=report.state,
            objection=objection(PipeState(beat.glance.state), PipeState(report.state)),
        )
        for beat, report in reported
        if beat.glance.state != report.state
    ]


def _watched(glances: Iterable[Glance]) -> set[str]:
    groups = {group for glance in glances for group in (f"session.{glance.number}", f"pipe.{glance.pipe_id}")}
    return groups | {"fleet"} if groups else groups
