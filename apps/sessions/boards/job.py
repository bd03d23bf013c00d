"""The board of one job: state, honest progress, outcome, log."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.runtime import clock
from apps.runtime.problems import NotFound
from apps.sessions.boards.base import Board, Part
from apps.sessions.boards.lines import JobLine, job_line, jobs


@dataclass(frozen=True)
class JobBoardState:
    """What the page of a job shows. `waited`: seconds from creation to start."""

    line: JobLine
    recursive: bool
    attempt: int
    cancel_requested: bool
    session: int | None
    depth: int | None
    waited: float | None
    lease_until: datetime | None
    deadline: datetime | None
    result: tuple[tuple[str, Any], ...]
    log: str


@dataclass(frozen=True)
class JobBoard(Board):
    """The job of this id."""

    id: uuid.UUID
    parts = (
        Part("job-summary", "jobs/parts/summary.html"),
        Part("job-outcome", "jobs/parts/outcome.html"),
    )

    @property
    def socket(self) -> str:
        """`/ws/job/<id>`."""
        return f"/ws/job/{self.id}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Hints of this job."""
        return (f"job.{self.id}",)

    def read(self) -> JobBoardState:
        """The state of now. Raises NotFound."""
        job = jobs(self.sight).filter(pk=self.id).first()
        if job is None:
            raise NotFound(f"There is no job {self.id}.")
        now = clock.now_datetime()
        begun = job.started_at or job.finished_at or now
        return JobBoardState(
            line=job_line(job, self.sight, now),
            recursive=job.recursive,
            attempt=job.attempt,
            cancel_requested=job.cancel_requested,
            session=job.session_id,
            depth=job.progress.get("depth"),
            waited=(begun - job.created_at).total_seconds(),
            lease_until=job.lease_until if job.finished_at is None else None,
            deadline=job.deadline if job.finished_at is None else None,
            result=tuple(sorted(job.result.items())),
            log=job.log_tail,
        )
