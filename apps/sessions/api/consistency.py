"""`/pipe/consistency`: audits and sentinels as agents call them (PROTOCOL: Consistency)."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Router

from apps.runtime.lanes import Lane, run
from apps.sessions.api.callers import pusher
from apps.sessions.schemas import AuditAnswer, AuditCall
from apps.sessions.services import audit_calls

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
