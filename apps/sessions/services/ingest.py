"""Take in one batch: fence, dedupe, apply to every view of the pipe, count: all in one transaction. Called by the API.

The answer means committed (R28). Nothing is applied twice (R1), nothing half: a batch that one view refuses is applied to none.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F

from apps.pipes.models import Pipe
from apps.pipes.principals import KeyPrincipal
from apps.runtime import hints
from apps.runtime.clock import now_datetime, now_ms
from apps.runtime.problems import BadRequest, Conflict, Invalid, NotFound, Problem, TooLarge, Unavailable, Unsupported
from apps.sessions import bodies, offsets
from apps.sessions.models import ReceivedBatch, Session, SessionStream
from apps.sessions.services import agent_phases, config_reports, sessions
from apps.sessions.services.leadership import epochs_of
from apps.sessions.services.origins import origin_of
from apps.sessions.services.trees import trees_of
from apps.views import apply, audits
from apps.views.models import Tree
from fustor_schema.sources import PROTOCOL_V3, SourceType
from fustor_schema.wire import Batch, Envelope, Malformed, Reject, decode_envelope

SCANS = frozenset({SourceType.SNAPSHOT, SourceType.AUDIT, SourceType.ON_DEMAND, SourceType.SENTINEL})
REFUSED_FOR_GOOD = (BadRequest, TooLarge, Unsupported, Invalid)
REPETITION_WINDOW = timedelta(minutes=10)
PAUSE_SECONDS = 10


@dataclass(frozen=True)
class Delivery:
    """One request body as it came in. `received_ms`: server ms of its arrival, before it waited for its turn."""

    session_id: str
    body: bytes
    encoding: str
    received_ms: int


@dataclass
class Answer:
    """What the client is told. `phase` is set for messages that carry no rows."""

    count: int
    rows: int = 0
    applied: int = 0
    ignored: int = 0
    rejected: list[Reject] = field(default_factory=list)
    over_capacity: bool = False
    committed_seq: int | None = None
    duplicate: bool = False
    audit: dict[str, Any] | None = None
    phase: str = ""

    def payload(self) -> dict[str, Any]:
        """The JSON of the answer."""
        if self.phase:
            return {"status": "ok", "phase": self.phase, "count": self.count}
        payload: dict[str, Any] = {
            "status": "capacity_exceeded" if self.over_capacity else "ok",
            "count": self.count,
            "rows": self.rows,
            "applied": self.applied,
            "ignored": self.ignored,
            "rejected": [_reject_payload(reject) for reject in self.rejected],
        }
        if self.committed_seq is not None:
            payload["committed_seq"] = self.committed_seq
        if self.audit is not None:
            payload["audit"] = self.audit
        if self.duplicate:
            payload["duplicate"] = True
        return payload


def _reject_payload(reject: Reject) -> dict[str, Any]:
    return {"event": reject.event, "row": reject.row, "field": reject.field, "reason": reject.reason}


def receive(principal: KeyPrincipal, delivery: Delivery) -> Answer:
    """Apply one batch and answer once it is committed.

    Raises NotFound (404: no such session), SessionObsolete (419: it ended), Forbidden (403), TooLarge (413), BadRequest (400) and
    Invalid (422: nothing applied, `field` names the first faulty place), Conflict (409: gap in seq, or STALE_WRITER).
    """
    session = sessions.require_live(sessions.find(delivery.session_id, principal), unknown=NotFound)
    _check_open(session.pipe)
    try:
        body = bodies.decoded(delivery.body, delivery.encoding, body_limit(session.pipe))
        return _received(session, _decoded(body), body, delivery.received_ms)
    except REFUSED_FOR_GOOD as refusal:
        _spoil_audits(session, refusal)
        raise


def note_refusal(principal: KeyPrincipal, session_id: str, refusal: Problem) -> None:
    """A body was refused before it could be read at all: whatever audit it belonged to lacks it."""
    session = sessions.find(session_id, principal)
    if session is not None and session.ended_at is None:
        _spoil_audits(session, refusal)


def _spoil_audits(session: Session, refusal: Problem) -> None:
    # an old client has no manifest that would tell; so its open audit, if there is one, will delete nothing (I6)
    with transaction.atomic():
        for tree_id in epochs_of(session):
            audits.note_failure(tree_id, now_ms=now_ms(), reason=f"a batch was refused: {refusal.detail}")


def _received(session: Session, batch: Batch, body: bytes, received_ms: int) -> Answer:
    source = _source_type(batch.envelope, session)
    if source == SourceType.JOB_COMPLETE:
        return _with_metadata(session, batch.envelope, agent_phases.complete, source)
    if source == SourceType.CONFIG_REPORT:
        return _with_metadata(session, batch.envelope, config_reports.store, source)
    with transaction.atomic():
        return _receive_rows(session.number, batch, source, _token(batch.envelope, source, body), received_ms)


def body_limit(pipe: Pipe) -> int:
    """Most bytes of one body, before and after its content encoding is taken off."""
    own = pipe.receiver.settings.get("max_body_bytes")
    return int(own) if own else int(settings.FUSTOR_MAX_BODY_BYTES)


def _check_open(pipe: Pipe) -> None:
    if pipe.paused:
        raise Unavailable(
            f"Pipe {pipe.slug} is paused. Nothing was applied; send the same batch again.",
            code="pipe_paused",
            retry_after=PAUSE_SECONDS,
        )


def _decoded(body: bytes) -> Batch:
    try:
        return decode_envelope(body)
    except Malformed as error:
        refusal = BadRequest if error.status == BadRequest.status else Invalid
        raise refusal(str(error), field=error.place or None) from error


def _source_type(envelope: Envelope, session: Session) -> SourceType:
    if envelope.session_id is not None and envelope.session_id.replace("-", "").lower() != session.id.hex:
        raise Invalid("session_id: it is not the session of the URL", field="session_id")
    try:
        return SourceType(envelope.source_type)
    except ValueError as error:
        known = ", ".join(SourceType)
        raise Invalid(f"source_type: {envelope.source_type!r} is not one of {known}", field="source_type") from error


def _with_metadata(
    session: Session, envelope: Envelope, verb: Callable[[Session, dict[str, Any]], None], source: SourceType
) -> Answer:
    with transaction.atomic():
        verb(session, envelope.metadata or {})
    return Answer(count=len(envelope.events), phase=source.value)


def _token(envelope: Envelope, source: SourceType, body: bytes) -> str | None:
    """What a repetition of this batch would have in common with it; None when repeating it does no harm.

    Scans are safe by their observation times. Realtime of old clients is ordered by arrival, so it must not arrive twice; a body
    without any index or event id cannot be told from a second event that looks alike, and is taken as one.
    """
    if envelope.seq is not None:
        return None
    if envelope.batch_id:
        return "id:" + (envelope.batch_id if len(envelope.batch_id) <= 64 else _digest(envelope.batch_id.encode()))
    identified = any(event.index or event.event_id for event in envelope.events)
    return "body:" + _digest(body) if source == SourceType.MESSAGE and identified else None


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def _receive_rows(number: int, batch: Batch, source: SourceType, token: str | None, received_ms: int) -> Answer:
    # the fence: from here to the commit nobody can end this session
    session = Session.objects.select_for_update(of=("self",), no_key=True).select_related("pipe__receiver").get(number=number)
    sessions.require_live(session)
    known = _known_answer(session, batch.envelope, token)
    if known is not None:
        Session.objects.filter(number=number).update(duplicates=F("duplicates") + 1, **_signs_of_life(session))
        return known
    trees = trees_of(session.pipe)
    answer = _applied(session, trees, batch, source, received_ms)
    answer.committed_seq = batch.envelope.seq
    _remember(session, token, answer)
    _count(session, batch.envelope, answer, source)
    if source in SCANS:
        agent_phases.note_rows(session, source, batch.envelope, answer.rows)
    hints.changed(f"pipe.{session.pipe_id}", *(f"view.{tree.view_id}" for tree in trees))
    return answer


def _known_answer(session: Session, envelope: Envelope, token: str | None) -> Answer | None:
    if envelope.seq is not None:
        return _advance_stream(session, envelope, envelope.seq)
    if token is None:
        return None
    before = ReceivedBatch.objects.filter(session=session, token=token, at__gte=now_datetime() - REPETITION_WINDOW).first()
    return Answer(**before.answer, duplicate=True) if before is not None else None


def _advance_stream(session: Session, envelope: Envelope, seq: int) -> Answer | None:
    """Move the stream's high-water mark by one; an answer for a batch that was committed before."""
    if seq == 1:
        stream, _ = SessionStream.objects.get_or_create(session=session, stream=envelope.stream)
        committed = stream.committed_seq
    else:
        stream_row = SessionStream.objects.filter(session=session, stream=envelope.stream).first()
        committed = stream_row.committed_seq if stream_row else 0
    if seq <= committed:
        return Answer(count=len(envelope.events), committed_seq=committed, duplicate=True)
    if seq != committed + 1:
        raise Conflict(
            f"Batch {seq} came while batch {committed + 1} is expected. Nothing was applied.",
            code="seq_gap",
            field="seq",
            fix=f"Send again from batch {committed + 1} on.",
            extra={"expected": committed + 1, "committed_seq": committed},
        )
    SessionStream.objects.filter(session=session, stream=envelope.stream).update(committed_seq=seq)
    return None


def _applied(session: Session, trees: list[Tree], batch: Batch, source: SourceType, received_ms: int) -> Answer:
    session.clock = _observed_clock(session, batch.envelope, received_ms)
    epochs = epochs_of(session)
    if source in SCANS and session.protocol >= PROTOCOL_V3:
        _check_epoch(batch.envelope, epochs)
    answer = Answer(count=len(batch.envelope.events))
    for tree in trees:
        outcome = apply.apply_batch(tree.pk, origin_of(session, tree, epochs), batch, received_ms)
        answer.rows = max(answer.rows, outcome.rows)
        answer.applied = max(answer.applied, outcome.applied)
        answer.ignored = max(answer.ignored, outcome.ignored)
        answer.rejected = max(answer.rejected, outcome.rejected, key=len)
        answer.over_capacity |= outcome.over_capacity
        if outcome.audit_state:
            answer.audit = {"id": batch.envelope.audit_id or "", "state": outcome.audit_state}
    return answer


def _observed_clock(session: Session, envelope: Envelope, received_ms: int) -> dict[str, Any]:
    if session.protocol >= PROTOCOL_V3:
        capture = envelope.sent_at
    else:
        capture = max((event.index for event in envelope.events if event.index), default=None)
    return session.clock if not capture or capture < 0 else offsets.observe(session.clock, received_ms, float(capture))


def _check_epoch(envelope: Envelope, epochs: dict[int, int]) -> None:
    current = max(epochs.values(), default=0)
    if not current or envelope.epoch not in (None, current):
        raise Conflict(
            f"Scans of epoch {envelope.epoch} no longer count; "
            + (f"this session leads in epoch {current}." if current else "another session leads."),
            code="STALE_WRITER",
            fix="Drop this scan; the server asks for a new one where it is needed.",
            extra={"epoch": current},
        )


def _remember(session: Session, token: str | None, answer: Answer) -> None:
    if token is None:
        return
    summary = {"count": answer.count, "rows": answer.rows, "applied": answer.applied, "ignored": answer.ignored}
    ReceivedBatch.objects.update_or_create(session=session, token=token, defaults={"at": now_datetime(), "answer": summary})


def _count(session: Session, envelope: Envelope, answer: Answer, source: SourceType) -> None:
    newest = max((int(event.index) for event in envelope.events if event.index), default=0)
    Session.objects.filter(number=session.number).update(
        last_batch_at=now_datetime(),
        clock=session.clock,
        batches=F("batches") + 1,
        events=F("events") + answer.count,
        rows=F("rows") + answer.rows,
        rejected=F("rejected") + len(answer.rejected),
        **({"last_index": newest} if source == SourceType.MESSAGE and newest > session.last_index else {}),
        **_signs_of_life(session),
    )


def _signs_of_life(session: Session) -> dict[str, datetime]:
    moment = now_datetime()
    return {"last_active_at": moment, "silent_after": moment + timedelta(seconds=session.timeout_seconds)}
