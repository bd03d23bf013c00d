"""The orders on a rollout: watch it, go on, send to all now, stop, roll back. API, pages and a task call these.

Every order holds the rollout's row, so any number of workers and people may give them at once.
"""

from dataclasses import replace
from datetime import datetime

from django.db import connection, transaction
from django.db.models import Count, QuerySet

from apps.pipes import audit
from apps.pipes.audit import Actor
from apps.pipes.config import history, service
from apps.pipes.config.plan import Plan
from apps.pipes.config.render import render
from apps.pipes.config.three_way import merge_documents
from apps.pipes.models import OPEN_STATES, MemberState, Revision, Rollout, RolloutMember, RolloutState
from apps.pipes.rollouts.spread import send_wave
from apps.pipes.rollouts.verdict import MemberFacts, Next, next_step, of_member
from apps.runtime import clock, hints
from apps.runtime.problems import Conflict, NotFound

WATCHED = (MemberState.SENT, MemberState.AWAY, MemberState.FAILED)
ITSELF = Actor("rollout")  # who acts when a rollout goes on or halts without a person
REASONS_SHOWN = 3


def find(number: int) -> Rollout:
    """The rollout of this revision. Raises NotFound."""
    found = Rollout.objects.select_related("revision").filter(pk=number).first()
    if found is None:
        raise NotFound(f"Revision {number} was not rolled out in waves.", fix="See the list of revisions.")
    return found


def advance_all() -> int:
    """Watch every open rollout, and move on those that are due; how many. Run by every worker, often."""
    numbers = list(Rollout.objects.filter(state__in=OPEN_STATES).values_list("pk", flat=True))
    return sum(advance(number) for number in numbers)


@transaction.atomic
def advance(number: int) -> bool:
    """Note what the agents reported; then halt, send the next wave or finish, whatever is due. False: another worker is at it."""
    rollout = _rows().filter(pk=number, state__in=OPEN_STATES).first()
    if rollout is None:
        return False
    _note_reports(rollout)
    if rollout.state == RolloutState.RUNNING:
        _move(rollout)
    return True


@transaction.atomic
def go_on(number: int, actor: Actor) -> Rollout:
    """Go on after a halt, tolerating the failures so far; a running rollout skips its pause. Conflict when it is over."""
    rollout = _held(number)
    failed = rollout.members.filter(state=MemberState.FAILED).count()
    rollout.state, rollout.tolerated = RolloutState.RUNNING, max(rollout.tolerated, failed)
    rollout.save(update_fields=["state", "tolerated"])
    if rollout.wave < len(rollout.waves) and not rollout.members.filter(state=MemberState.SENT).exists():
        send_wave(rollout, rollout.wave + 1)
    return _told(rollout, actor, "rollout.go_on")


@transaction.atomic
def send_to_all(number: int, actor: Actor) -> Rollout:
    """Send the revision to all that have not got it, now. Conflict when it is over."""
    rollout = _held(number)
    rollout.state = RolloutState.RUNNING
    rollout.save(update_fields=["state"])
    send_wave(rollout, len(rollout.waves))
    return _told(rollout, actor, "rollout.send_to_all")


@transaction.atomic
def cancel(number: int, actor: Actor) -> Rollout:
    """Stop: who has not got the revision keeps what it runs until a later change concerns it. Conflict when it is over."""
    rollout = _held(number)
    _end(rollout, RolloutState.CANCELLED)
    return _told(rollout, actor, "rollout.cancel")


@transaction.atomic
def roll_back(number: int, author: service.Author, *, expected: int | None = None) -> tuple[Plan, Revision | None]:
    """Take back what the revision changed, as a new revision, checked like any other; changes made since stay.

    Agents that have not got it notice nothing. Conflict when later changes touched the same fields, or it was rolled back.
    """
    service.serialise()
    rollout = _rows(wait=True).filter(pk=number).first() or find(number)
    if rollout.state == RolloutState.ROLLED_BACK:
        raise Conflict(f"Revision {number} was rolled back already.")
    before = Revision.objects.filter(number__lt=number).order_by("-number").first()
    was = history.document_at(before.number if before else 0)
    merged = merge_documents(history.document_of(rollout.revision), was, render())
    if merged.collisions:
        places = ", ".join(collision.where for collision in merged.collisions[:5])
        raise Conflict(
            f"Later changes touched what revision {number} changed: {places}.",
            code="rollback_collides",
            fix="Restore a whole revision instead, or mend these fields by hand.",
        )
    _end(rollout, RolloutState.ROLLED_BACK)
    why = author.message or f"Roll back revision {number}"
    restores = before if number == service.latest_number() else None
    wanted = service.Wanted(merged.document, replace=True)
    outcome = service.change(wanted, replace(author, message=why), expected=expected, restores=restores)
    _told(rollout, author.actor, "rollout.roll_back")
    return outcome


def counts(rollout: Rollout) -> dict[str, int]:
    """How many agents are in each state."""
    found = rollout.members.order_by().values_list("state").annotate(Count("pk"))
    return {str(state): count for state, count in found}


def _rows(*, wait: bool = False) -> QuerySet[Rollout]:
    """Rollouts, their rows held until the transaction ends; without `wait`, those that another process holds are left out."""
    # SQLite has one writer: the transaction itself is the lock
    if connection.vendor != "postgresql":
        return Rollout.objects.select_related("revision")
    return Rollout.objects.select_for_update(of=("self",), skip_locked=not wait).select_related("revision")


def _held(number: int) -> Rollout:
    rollout = _rows(wait=True).filter(pk=number).first() or find(number)
    if not rollout.is_open:
        raise Conflict(f"The rollout of revision {number} is over: {rollout.get_state_display()}.", code="rollout_over")
    return rollout


def _note_reports(rollout: Rollout) -> None:
    now = clock.now_datetime()
    for member in rollout.members.filter(state__in=WATCHED).select_related("agent"):
        state, reason = of_member(_facts(member), rollout.pk, rollout.patience_seconds, now.timestamp())
        if (state, reason) == (member.state, member.reason):
            continue
        member.state, member.reason = state, reason
        member.settled_at = None if state == MemberState.SENT else now
        member.save(update_fields=["state", "reason", "settled_at"])
        rollout.moved_at = now
    if rollout.moved_at == now:
        rollout.save(update_fields=["moved_at"])
        hints.changed(f"rollout.{rollout.pk}")


def _facts(member: RolloutMember) -> MemberFacts:
    agent = member.agent
    return MemberFacts(
        desired_revision=agent.desired_revision,
        reported_revision=agent.reported_revision,
        reported_error=agent.reported_error,
        reported_at=_seconds(agent.reported_at),
        seen_at=_seconds(agent.last_seen_at),
        sent_at=_seconds(member.sent_at),
    )


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _move(rollout: Rollout) -> None:
    out = rollout.members.filter(wave__lte=rollout.wave)
    step = next_step(
        [MemberState(state) for state in out.values_list("state", flat=True)],
        waves_left=rollout.wave < len(rollout.waves),
        tolerated=rollout.tolerated,
        settled_seconds=(clock.now_datetime() - rollout.moved_at).total_seconds(),
        pause=rollout.pause_seconds,
    )
    if step == Next.HALT:
        _halt(rollout)
    elif step == Next.SEND:
        send_wave(rollout, rollout.wave + 1)
        _told(rollout, ITSELF, "rollout.wave")
    elif step == Next.FINISH:
        _end(rollout, RolloutState.DONE)
        _told(rollout, ITSELF, "rollout.done")


def _halt(rollout: Rollout) -> None:
    failed = rollout.members.filter(state=MemberState.FAILED).select_related("agent")
    shown = "; ".join(f"{member.agent.slug}: {member.reason}" for member in failed[:REASONS_SHOWN])
    rollout.state = RolloutState.HALTED
    rollout.halted_because = f"{failed.count()} failed, {rollout.tolerated} tolerated. {shown}"
    rollout.save(update_fields=["state", "halted_because"])
    _told(rollout, ITSELF, "rollout.halt", rollout.halted_because)


def _end(rollout: Rollout, state: RolloutState) -> None:
    rollout.state, rollout.ended_at = state, clock.now_datetime()
    rollout.save(update_fields=["state", "ended_at"])


def _told(rollout: Rollout, actor: Actor, verb: str, detail: str = "") -> Rollout:
    told = detail or f"wave {rollout.wave} of {len(rollout.waves)}"
    audit.record(actor, verb, f"rollouts.{rollout.pk}", after=counts(rollout), detail=told)
    hints.changed("fleet", f"rollout.{rollout.pk}")
    return rollout
