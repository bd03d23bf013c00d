"""Take in one batch: fence, dedupe, apply to every view of the pipe, count: all in one transaction. Called by the API.

The answer means committed (R28). Nothing is applied twice (R1), nothing half: a batch that one view refuses is applied to none.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from apps.pipes.models import Pipe
from apps.pipes.principals import KeyPrincipal
from apps.runtime import hints
from apps.runtime.clock import now, now_datetime, now_ms
from apps.runtime.problems import BadRequest, Conflict, Invalid, NotFound, Problem, TooLarge, Unavailable, Unsupported
from apps.sessions import bodies, offsets
from apps.sessions.answers import Answer
from apps.sessions.models import Leadership, Session, SessionStream
from apps.sessions.services import agent_phases, config_reports, ledger, liveness, sessions
from apps.sessions.services.ledger import Entry, Sender, Target
from apps.sessions.services.origins import origin_of
from apps.views import apply, audits, capacity
from fustor_schema.decoding import decode_old_scan, decode_scan
from fustor_schema.sources import PROTOCOL_V3, SourceType
from fustor_schema.wire import Batch, Envelope, Malformed

SCANS = frozenset({SourceType.SNAPSHOT, SourceType.AUDIT, SourceType.ON_DEMAND, SourceType.SENTINEL})
REFUSED_FOR_GOOD = (BadRequest, TooLarge, Unsupported, Invalid)
REPETITION_WINDOW = timedelta(minutes=10)
PAUSE_SECONDS = 10
MOST_NUMBER = 2**53


@dataclass(frozen=True)
class Delivery:
    """One request body as it came in. `received_ms`: server ms of its arrival, before it waited for its turn."""

    session_id: str
    body: bytes
    encoding: str
    received_ms: int


def receive(principal: KeyPrincipal, delivery: Delivery) -> Answer:
    """Apply one batch and answer once it is committed.

    Raises NotFound (404: no such session), SessionObsolete (419: it ended), Forbidden (403), TooLarge (413), BadRequest (400) and
    Invalid (422: nothing applied, `field` names the first faulty place), Conflict (409: gap in seq, or STALE_WRITER).
    """
    sender = _required(principal, delivery.session_id, ledger.sender(delivery.session_id))
    _check_open(sender)
    try:
        body = bodies.decoded(delivery.body, delivery.encoding, body_limit(sender))
        return _read(principal, sender, body, delivery.received_ms)
    except REFUSED_FOR_GOOD as refusal:
        _spoil_audits(sender.number, refusal)
        raise


def _required(principal: KeyPrincipal, session_id: str, sender: Sender | None) -> Sender:
    """The sender when it may push: known, alive, of this key. Raises what sessions.require_live raises."""
    if sender is not None and _may_push(principal, sender):
        return sender
    sessions.require_live(sessions.find(session_id, principal), unknown=NotFound)
    # it came to life again in between
    sender = ledger.sender(session_id)
    assert sender is not None
    return sender


def _may_push(principal: KeyPrincipal, sender: Sender) -> bool:
    silent = liveness.is_silent(sender.number, sender.last_active, sender.timeout_seconds, now())
    return not (sender.has_ended or silent) and sender.pipe_is_on and principal.may_push(Pipe(pk=sender.pipe_id))


def note_refusal(principal: KeyPrincipal, session_id: str, refusal: Problem) -> None:
    """A body was refused before it could be read at all: whatever audit it belonged to lacks it."""
    session = sessions.find(session_id, principal)
    if session is not None and session.ended_at is None:
        _spoil_audits(session.number, refusal)


def _spoil_audits(number: int, refusal: Problem) -> None:
    # an old client has no manifest that would tell; so its open audit, if there is one, will delete nothing (I6)
    with transaction.atomic():
        for tree_id in Leadership.objects.filter(session=number).values_list("tree_id", flat=True):
            audits.note_failure(tree_id, now_ms=now_ms(), reason=f"a batch was refused: {refusal.detail}")


def _read(principal: KeyPrincipal, sender: Sender, body: bytes, received_ms: int) -> Answer:
    # only agents of protocol 3 close their listings
    decode = decode_scan if sender.protocol >= PROTOCOL_V3 else decode_old_scan
    try:
        return _received(principal, sender, decode(body), body, received_ms)
    except Malformed as error:
        refusal = BadRequest if error.status == BadRequest.status else Invalid
        raise refusal(str(error), field=error.place or None) from error


def _received(principal: KeyPrincipal, sender: Sender, batch: Batch, body: bytes, received_ms: int) -> Answer:
    source = _source_type(batch.envelope, sender)
    if source == SourceType.JOB_COMPLETE:
        return _with_metadata(sender, batch.envelope, agent_phases.complete, source)
    if source == SourceType.CONFIG_REPORT:
        return _with_metadata(sender, batch.envelope, config_reports.store, source)
    with transaction.atomic():
        # the fence: from here to the commit nobody can end this session
        session_id = str(sender.id)
        locked = _required(principal, session_id, ledger.sender(session_id, lock=True))
        return _receive_rows(locked, batch, source, _token(batch.envelope, source, body), received_ms)


def body_limit(sender: Sender) -> int:
    """Most bytes of one body, before and after its content encoding is taken off."""
    own = sender.receiver_settings.get("max_body_bytes")
    return int(own) if own else int(settings.FUSTOR_MAX_BODY_BYTES)


def _check_open(sender: Sender) -> None:
    if sender.is_paused:
        raise Unavailable(
            f"Pipe {sender.pipe_slug} is paused. Nothing was applied; send the same batch again.",
            code="pipe_paused",
            retry_after=PAUSE_SECONDS,
        )


def _source_type(envelope: Envelope, sender: Sender) -> SourceType:
    """The source type of a valid envelope. Raises Invalid, with the faulty field named, for any other."""
    if envelope.session_id is not None and envelope.session_id.replace("-", "").lower() != sender.id.hex:
        raise Invalid("session_id: it is not the session of the URL", field="session_id")
    if envelope.seq is not None and not 1 <= envelope.seq < MOST_NUMBER:
        raise Invalid("seq: it counts from 1", field="seq")
    for field, value, longest in (("stream", envelope.stream, 64), ("audit_id", envelope.audit_id or "", 100)):
        if len(value) > longest or "\0" in value:
            raise Invalid(f"{field}: longer than {longest} characters, or with a NUL", field=field)
    try:
        return SourceType(envelope.source_type)
    except ValueError as error:
        known = ", ".join(SourceType)
        raise Invalid(f"source_type: {envelope.source_type!r:.100} is not one of {known}", field="source_type") from error


def _with_metadata(
    sender: Sender, envelope: Envelope, verb: Callable[[Session, dict[str, Any]], None], source: SourceType
) -> Answer:
    with transaction.atomic():
        session = (
            Session.objects.select_for_update(of=("self",), no_key=True).select_related("pipe__receiver").get(pk=sender.number)
        )
        verb(sessions.require_live(session), envelope.metadata or {})
    return Answer(count=len(envelope.events), phase=source.value)


def _token(envelope: Envelope, source: SourceType, body: bytes) -> str | None:
    """What a repetition of this batch would have in common with it; None when repeating it does no harm.

    Scans are safe by their observation times. Realtime of old clients is ordered by arrival, so it must not arrive twice; a body
    without any index or event id cannot be told from a second event that looks alike, and is taken as one.
    """
    if envelope.seq is not None:
        return None
    if envelope.batch_id:
        plain = envelope.batch_id.isascii() and envelope.batch_id.isprintable() and len(envelope.batch_id) <= 64
        return "id:" + (envelope.batch_id if plain else _digest(envelope.batch_id.encode("utf-8", "surrogatepass")))
    identified = any(event.index or event.event_id for event in envelope.events)
    return "body:" + _digest(body) if source == SourceType.MESSAGE and identified else None


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def _receive_rows(sender: Sender, batch: Batch, source: SourceType, token: str | None, received_ms: int) -> Answer:
    known = _known_answer(sender, batch.envelope, token)
    if known is not None:
        ledger.count_duplicate(sender, now_datetime())
        return known
    targets = ledger.targets(sender)
    answer = _applied(sender, targets, batch, source, received_ms)
    answer.committed_seq = batch.envelope.seq
    if token is not None:
        ledger.remember(sender, token, now_datetime(), answer.summary())
    ledger.count(sender, _entry(batch.envelope, answer, source), now_datetime())
    if source in SCANS:
        agent_phases.note_rows(sender, source, batch.envelope, answer.rows)
    hints.changed(f"pipe.{sender.pipe_id}", *(f"view.{target.view_id}" for target in targets))
    return answer


def _known_answer(sender: Sender, envelope: Envelope, token: str | None) -> Answer | None:
    if envelope.seq is not None:
        return None if ledger.advance(sender, envelope.stream, envelope.seq) else _out_of_step(sender, envelope, envelope.seq)
    before = ledger.recall(sender, token, now_datetime() - REPETITION_WINDOW) if token is not None else None
    return Answer(**before, duplicate=True) if before is not None else None


def _out_of_step(sender: Sender, envelope: Envelope, seq: int) -> Answer | None:
    """What a batch gets that is not the next of its stream: its acknowledgement, a 409, or None when it begins the stream."""
    stream, _ = SessionStream.objects.get_or_create(session_id=sender.number, stream=envelope.stream)
    if seq <= stream.committed_seq:
        return Answer(count=len(envelope.events), committed_seq=stream.committed_seq, duplicate=True)
    if ledger.advance(sender, envelope.stream, seq):
        return None
    expected = stream.committed_seq + 1
    raise Conflict(
        f"Batch {seq} came while batch {expected} is expected. Nothing was applied.",
        code="seq_gap",
        field="seq",
        fix=f"Send again from batch {expected} on.",
        extra={"expected": expected, "committed_seq": stream.committed_seq},
    )


def _applied(sender: Sender, targets: list[Target], batch: Batch, source: SourceType, received_ms: int) -> Answer:
    sender.clock = _observed_clock(sender, batch.envelope, received_ms)
    if source in SCANS and sender.protocol >= PROTOCOL_V3:
        _check_epoch(batch.envelope, max((target.epoch for target in targets), default=0))
    answer = Answer(count=len(batch.envelope.events))
    grown: list[capacity.Bound] = []
    for target in targets:
        outcome = apply.apply_batch(target.tree_id, origin_of(sender, target.epoch), batch, received_ms)
        answer.rows = max(answer.rows, outcome.rows)
        answer.applied = max(answer.applied, outcome.applied)
        answer.ignored = max(answer.ignored, outcome.ignored)
        answer.rejected = max(answer.rejected, outcome.rejected, key=len)
        answer.over_capacity |= outcome.over_capacity
        if outcome.audit_state:
            answer.audit = {"id": batch.envelope.audit_id or "", "state": outcome.audit_state}
        if outcome.bound is not None and outcome.grew > 0:
            grown.append(outcome.bound)
    capacity.hold(grown)
    return answer


def _observed_clock(sender: Sender, envelope: Envelope, received_ms: int) -> dict[str, Any]:
    capture = _plausible(envelope.sent_at) if sender.protocol >= PROTOCOL_V3 else _newest_index(envelope)
    return offsets.observe(sender.clock, received_ms, capture) if capture else sender.clock


def _newest_index(envelope: Envelope) -> int:
    return max((_plausible(event.index) for event in envelope.events), default=0)


def _plausible(number: float | None) -> int:
    """A count of ms that a client sent; 0 for none and for what can be none."""
    return int(number) if number is not None and 0 < number < MOST_NUMBER else 0


def _check_epoch(envelope: Envelope, current: int) -> None:
    if not current or envelope.epoch not in (None, current):
        raise Conflict(
            f"Scans of epoch {envelope.epoch} no longer count; "
            + (f"this session leads in epoch {current}." if current else "another session leads."),
            code="STALE_WRITER",
            fix="Drop this scan; the server asks for a new one where it is needed.",
            extra={"epoch": current},
        )


def _entry(envelope: Envelope, answer: Answer, source: SourceType) -> Entry:
    newest = _newest_index(envelope) if source == SourceType.MESSAGE else 0
    return Entry(answer.count, answer.rows, len(answer.rejected), newest)
