"""`/pipe/consistency`: audits and sentinels as agents call them (PROTOCOL: Consistency)."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Router

from apps.runtime.lanes import Lane, run
from apps.sessions.api.callers import pusher
from apps.sessions.schemas import AuditAnswer, AuditCall, FeedbackAnswer, SentinelFeedback
from apps.sessions.services import consistency

router = Router()


@router.post("/consistency/audit/start", response=AuditAnswer)
async def start_audit(request: HttpRequest, call: Annotated[AuditCall | None, Body()] = None) -> dict[str, Any]:
    """An audit begins."""
    handled = await run(Lane.INGEST, consistency.start_audit, pusher(request), _word(call))
    return {"status": "audit_started", "drivers_handled": handled}


@router.post("/consistency/audit/end", response=AuditAnswer)
async def end_audit(request: HttpRequest, call: Annotated[AuditCall | None, Body()] = None) -> dict[str, Any]:
    """An audit is over."""
    handled = await run(Lane.INGEST, consistency.end_audit, pusher(request), _word(call))
    return {"status": "audit_ended", "drivers_handled": handled}


def _word(call: AuditCall | None) -> consistency.AuditWord:
    if call is None:
        return consistency.AuditWord()
    return consistency.AuditWord(call.session_id, call.audit_id, call.started_ms, call.root_id, call.manifest)


@router.get("/consistency/sentinel/tasks")
async def sentinel_tasks(request: HttpRequest) -> dict[str, Any]:
    """Suspects to look at again."""
    task = await run(Lane.CONTROL, consistency.sentinel_tasks, pusher(request))
    if task is None:
        return {}
    view_id, paths = task
    return {"type": "suspect_check", "paths": paths, "view_id": view_id}


@router.post("/consistency/sentinel/feedback", response=FeedbackAnswer)
async def sentinel_feedback(request: HttpRequest, feedback: SentinelFeedback) -> dict[str, Any]:
    """What the second look found."""
    updates = [update.model_dump() for update in feedback.updates]
    updated = await run(Lane.INGEST, consistency.sentinel_feedback, pusher(request), updates, feedback.session_id)
    return {"status": "processed", "drivers_updated": updated}
