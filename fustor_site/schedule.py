"""The beat schedule: which housekeeping runs how often (seconds). Read by settings.

`expires`: a run that no worker took in time is dropped, for the next one does its work; nothing piles up behind a stopped worker.
"""

from typing import Any


def _every(seconds: float, task: str) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": max(5.0, seconds)}}


BEAT = {
    task: _every(seconds, task)
    for task, seconds in (
        ("sessions.expire_sessions", 1.0),
        ("sessions.follow_configuration", 2.0),
        ("sessions.keep_jobs_moving", 2.0),
        ("sessions.forget_received", 60.0),
        ("sessions.forget_history", 3600.0),
        ("views.expire_suspects", 5.0),
        ("views.collect_tombstones", 60.0),
        ("views.index_names", 5.0),
        ("views.trim", 3600.0),
        ("pipes.write_down_key_use", 60.0),
        ("pipes.advance_rollouts", 2.0),
        ("pipes.tidy_logins", 3600.0),
        ("pipes.prune_audit", 3600.0),
    )
}
