"""`POST …/events`: the batches (PROTOCOL: Events). Read, bounded, decoded and applied; the answer means committed."""

import functools

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from ninja import Router

from apps.runtime.clock import now_ms
from apps.runtime.lanes import Lane, run
from apps.runtime.problems import BadRequest
from apps.sessions import bodies
from apps.sessions.admission import Admission
from apps.sessions.api.answers import as_json
from apps.sessions.api.callers import pusher
from apps.sessions.schemas import EventsAnswer
from apps.sessions.services import ingest

router = Router()
BODY = {
    "requestBody": {
        "required": True,
        "description": "One batch. `Content-Encoding: gzip|zstd` is understood.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "session_id": {"type": "string"},
                        "source_type": {"type": "string"},
                        "is_end": {"type": "boolean"},
                        "batch_id": {"type": "string"},
                        "seq": {"type": "integer"},
                        "stream": {"type": "string"},
                        "epoch": {"type": "integer"},
                        "audit_id": {"type": "string"},
                        "sent_at": {"type": "number"},
                        "metadata": {"type": "object"},
                        "events": {"type": "array", "items": {"type": "object"}},
                    },
                }
            }
        },
    }
}


@functools.cache
def admission() -> Admission:
    """The one gate of this process."""
    return Admission(settings.FUSTOR_INGEST_INFLIGHT_BYTES)


@router.post("/ingest/{session_id}/events", response=EventsAnswer, openapi_extra=BODY)
async def push_events(request: HttpRequest, session_id: str) -> HttpResponse:
    """Send a batch of events."""
    return await _push(request, session_id)


@router.post("/{session_id}/events", response=EventsAnswer, openapi_extra=BODY)
async def push_events_short(request: HttpRequest, session_id: str) -> HttpResponse:
    """Send a batch of events (short path)."""
    return await _push(request, session_id)


async def _push(request: HttpRequest, session_id: str) -> HttpResponse:
    received_ms = now_ms()
    try:
        bodies.check_content_type(request.headers.get("Content-Type", ""))
        body = _read(request)
    except ingest.REFUSED_FOR_GOOD as refusal:
        await run(Lane.INGEST, ingest.note_refusal, pusher(request), session_id, refusal)
        raise
    delivery = ingest.Delivery(session_id, body, request.headers.get("Content-Encoding", ""), received_ms)
    async with admission().turn(session_id, len(body)):
        answer = await run(Lane.INGEST, ingest.receive, pusher(request), delivery)
    return as_json(answer.payload(), 507 if answer.over_capacity else 200)


def _read(request: HttpRequest) -> bytes:
    limit = int(settings.FUSTOR_MAX_BODY_BYTES)
    declared = request.headers.get("Content-Length", "")
    if declared.isdigit():
        bodies.check_size(int(declared), limit)
    try:
        body = request.read(limit + 1)
    except UnreadablePostError as error:
        raise BadRequest("The body was cut short.") from error
    bodies.check_size(len(body), limit)
    return body
