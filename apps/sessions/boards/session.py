"""The board of one session: role, state, age, idle time until it times out, counters."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.runtime import clock
from apps.runtime.problems import NotFound
from apps.sessions.boards.base import Board, Part
from apps.sessions.boards.lines import JobLine, SessionLine, job_line, jobs, session_line, sessions
from apps.sessions.models import Session

JOBS_SHOWN = 10


@dataclass(frozen=True)
class SessionBoardState:
    """What the page of a session shows. `times_out_at`: when it ends unless it is heard of."""

    line: SessionLine
    client: tuple[tuple[str, str], ...]
    times_out_at: datetime | None
    jobs: tuple[JobLine, ...]


@dataclass(frozen=True)
class SessionBoard(Board):
    """The session of this number (its id is a secret of the agent)."""

    number: int
    parts = (
        Part("session-summary", "sessions/parts/summary.html"),
        Part("session-jobs", "sessions/parts/jobs.html"),
    )

    @property
    def socket(self) -> str:
        """`/ws/session/<number>`."""
        return f"/ws/session/{self.number}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Hints of this session."""
        return (f"session.{self.number}",)

    def read(self) -> SessionBoardState:
        """The state of now. Raises NotFound."""
        session = sessions().filter(number=self.number).first()
        if session is None:
            raise NotFound(f"There is no session number {self.number}.")
        now = clock.now_datetime()
        return SessionBoardState(
            line=session_line(session),
            client=tuple((str(name), str(value)) for name, value in sorted(session.client_info.items())),
            times_out_at=_times_out_at(session),
            jobs=tuple(job_line(job, now) for job in jobs().filter(session=session)[:JOBS_SHOWN]),
        )


def _times_out_at(session: Session) -> datetime | None:
    if session.ended_at:
        return None
    return session.last_active_at + timedelta(seconds=session.timeout_seconds)
