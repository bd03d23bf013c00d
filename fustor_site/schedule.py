"""The beat schedule: which housekeeping runs how often (seconds). Read by settings.

`expires`: a run that no worker took in time is dropped, for the next one does its work; nothing piles up behind a stopped worker.
"""

from typing import Any


def _every(seconds: float, task: str) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": max(5.0, seconds)}}


BEAT = {
    "expire-sessions": _every(1.0, "apps.sessions.tasks.expire_sessions"),
    "keep-jobs-moving": _every(2.0, "apps.sessions.tasks.keep_jobs_moving"),
    "forget-received-batches": _every(60.0, "apps.sessions.tasks.forget_received"),
    "forget-history": _every(3600.0, "apps.sessions.tasks.forget_history"),
}
