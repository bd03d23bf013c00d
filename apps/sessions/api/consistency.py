"""`/pipe/consistency`: audits and sentinels as agents call them (PROTOCOL: Consistency)."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Router

from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Invalid
from apps.sessions.api.callers import pusher
from apps.sessions.schemas import AuditAnswer, AuditCall, FeedbackAnswer, SentinelFeedback, SentinelUpdate
from apps.sessions.services import audit_calls, sentinel_calls
from apps.views.sentinel import Look
from fustor_schema import paths

router = Router()


@router.post("/consistency/audit/start", response=AuditAnswer)
async def start_audit(request: HttpRequest, call: Annotated[AuditCall | None, Body()] = None) -> dict[str, Any]:
    """An audit begins."""
    handled = await run(Lane.INGEST, audit_calls.start_audit, pusher(request), _word(call))
    return {"status": "audit_started", "drivers_handled": handled}


@router.post("/consistency/audit/end", response=AuditAnswer)
async def end_audit(request: HttpRequest, call: Annotated[AuditCall | None, Body()] = None) -> dict[str, Any]:
    """An audit is over."""
    handled = await run(Lane.INGEST, audit_calls.end_audit, pusher(request), _word(call))
    return {"status": "audit_ended", "drivers_handled": handled}


def _word(call: AuditCall | None) -> audit_calls.AuditWord:
    if call is None:
        return audit_calls.AuditWord()
    return audit_calls.AuditWord(call.session_id, call.audit_id, call.started_ms, call.root_id, call.manifest)


@router.get("/consistency/sentinel/tasks")
async def sentinel_tasks(request: HttpRequest) -> dict[str, Any]:
    """Suspects to look at again. `paths_b64` comes beside `paths`, in its order, when a name is not UTF-8."""
    task = await run(Lane.INGEST, sentinel_calls.tasks, pusher(request))
    if task is None:
        return {}
    view_id, keys = task
    answer = {"type": "suspect_check", "paths": [paths.display(key) for key in keys], "view_id": view_id}
    if any(paths.is_escaped(key) for key in keys):
        answer["paths_b64"] = [paths.to_base64(key) for key in keys]
    return answer


@router.post("/consistency/sentinel/feedback", response=FeedbackAnswer)
async def sentinel_feedback(request: HttpRequest, feedback: SentinelFeedback) -> dict[str, Any]:
    """What the second look found."""
    looks = [_look(number, update) for number, update in enumerate(feedback.updates)]
    updated = await run(Lane.INGEST, sentinel_calls.feedback, pusher(request), looks, feedback.session_id)
    return {"status": "processed", "drivers_updated": updated}


def _look(number: int, update: SentinelUpdate) -> Look:
    try:
        key = paths.from_base64(update.path_b64) if update.path_b64 is not None else paths.normalise(update.path)
    except paths.PathError as error:
        place = f"updates[{number}].path"
        raise Invalid(f"{place}: {error}", field=place) from error
    return Look(key, update.status, update.mtime, update.size)
