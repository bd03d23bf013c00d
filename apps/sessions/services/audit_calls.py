"""Audit start and end as agents call them. The rules of audits live in apps.views.audits."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.pipes.principals import KeyPrincipal
from apps.runtime.clock import now_ms
from apps.runtime.problems import Conflict
from apps.sessions import offsets
from apps.sessions.models import Job, Leadership, Session
from apps.sessions.services import agent_phases, sessions
from apps.sessions.services.leadership import epochs_of
from apps.sessions.services.origins import origin_of
from apps.sessions.services.trees import trees_of
from apps.views import audits
from apps.views.models import Tree
from fustor_schema.sources import PROTOCOL_V3


@dataclass(frozen=True)
class AuditWord:
    """What the agent says of its audit. `started_ms` on the clock of its events; all empty for old clients."""

    session_id: str | None = None
    audit_id: str | None = None
    started_ms: float | None = None
    root_id: str | None = None
    manifest: dict[str, Any] | None = None


def start_audit(principal: KeyPrincipal, word: AuditWord) -> int:
    """Open an audit on every tree that the session (old clients: the leaders of the key's pipes) leads; how many."""
    opened = 0
    for session in _auditors(principal, word):
        with transaction.atomic():
            locked = fenced(session)
            epochs = epochs_of(locked)
            started_ms = _server_ms(locked, word.started_ms)
            for tree in _led(locked, epochs):
                audits.start(
                    tree.pk,
                    origin_of(locked, epochs.get(tree.pk, 0)),
                    audit_id=word.audit_id,
                    started_ms=started_ms,
                    root_id=word.root_id,
                    now_ms=now_ms(),
                )
                opened += 1
            if locked.protocol < PROTOCOL_V3:
                agent_phases.begin(locked, Job.Kind.AUDIT)
    return opened


def end_audit(principal: KeyPrincipal, word: AuditWord) -> int:
    """Close the audit on those trees; how many. Without an open audit nothing happens (R15)."""
    closed = 0
    for session in _auditors(principal, word):
        with transaction.atomic():
            locked = fenced(session)
            epochs = epochs_of(locked)
            for tree in _led(locked, epochs):
                audits.end(
                    tree.pk,
                    origin_of(locked, epochs.get(tree.pk, 0)),
                    audit_id=word.audit_id,
                    manifest=word.manifest,
                    root_id=word.root_id,
                    now_ms=now_ms(),
                )
                closed += 1
            if locked.protocol < PROTOCOL_V3:
                agent_phases.end(locked, Job.Kind.AUDIT)
    return closed


def _auditors(principal: KeyPrincipal, word: AuditWord) -> list[Session]:
    if word.session_id is None:
        return leaders(principal)
    session = sessions.require_live(sessions.find(word.session_id, principal))
    if not epochs_of(session):
        raise Conflict("Another session leads; this audit does not count.", code="STALE_WRITER")
    return [session]


def leaders(principal: KeyPrincipal) -> list[Session]:
    """The live sessions of the key's pipes that lead a tree, in order."""
    leading = Leadership.objects.filter(session__pipe__in=principal.pipes(), session__ended_at__isnull=True)
    found = Session.objects.filter(number__in=leading.values("session")).select_related("pipe__receiver").order_by("number")
    return [session for session in found if not sessions.has_gone(session)]


def fenced(session: Session) -> Session:
    """The session, locked until the transaction ends, so that nobody can end it meanwhile. Raises SessionObsolete (419)."""
    locked = Session.objects.select_for_update(of=("self",), no_key=True).select_related("pipe__receiver").get(pk=session.pk)
    return sessions.require_live(locked)


def _led(session: Session, epochs: dict[int, int]) -> list[Tree]:
    return [tree for tree in trees_of(session.pipe) if tree.pk in epochs]


def _server_ms(session: Session, capture_ms: float | None) -> int:
    """The capture time in server ms; now when the agent gave none. Never later than now."""
    if capture_ms is None:
        return now_ms()
    of_clock = offsets.of_monotonic_clock if session.protocol >= PROTOCOL_V3 else offsets.of_wall_clock
    return min(now_ms(), int(capture_ms + of_clock(session.clock).offset_ms))
