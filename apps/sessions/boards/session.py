"""The board of one session: role, state, age, idle time until it times out, counters."""

from dataclasses import dataclass

from apps.runtime import clock
from apps.runtime.problems import NotFound
from apps.sessions.boards.base import Board, Part
from apps.sessions.boards.lines import JobLine, SessionLine, job_line, jobs, session_lines, sessions

JOBS_SHOWN = 10


@dataclass(frozen=True)
class SessionBoardState:
    """What the page of a session shows. `times_out_at`: when it ends unless it is heard of."""

    line: SessionLine
    client: tuple[tuple[str, str], ...]
    times_out_at: float | None
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
        session = sessions(self.sight).filter(number=self.number).first()
        if session is None:
            raise NotFound(f"There is no session number {self.number}.")
        now = clock.now_datetime()
        (line,) = session_lines([session], self.sight)
        return SessionBoardState(
            line=line,
            client=tuple((str(name), str(value)) for name, value in sorted(session.client_info.items())),
            times_out_at=line.last_heard + line.timeout_seconds if line.live else None,
            jobs=tuple(job_line(job, self.sight, now) for job in jobs(self.sight).filter(session=session)[:JOBS_SHOWN]),
        )
