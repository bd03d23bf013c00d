"""Rollouts: look at them, and the orders on them."""

from typing import Any, Literal

from django.http import HttpRequest
from ninja import Query, Router

from apps.pipes.api.guard import allow, author
from apps.pipes.api.schemas import Change, Number, Paging, PlanOut, plan_out
from apps.pipes.models import MemberState, Rollout, RolloutMember
from apps.pipes.permissions import Verb
from apps.pipes.rollouts import service as rollouts

router = Router()
ORDERS = {"continue": rollouts.go_on, "now": rollouts.send_to_all, "cancel": rollouts.cancel}


@router.get("/rollouts", summary="Rollouts, newest first")
def list_rollouts(request: HttpRequest, page: Query[Paging]) -> list[dict[str, Any]]:
    """With the state of each; `GET /rollouts/{number}` has the agents."""
    allow(request, Verb.READ, "rollouts")
    return [_rollout_out(rollout) for rollout in Rollout.objects.all()[page.offset : page.offset + page.limit]]


@router.get("/rollouts/{number}", summary="One rollout with its agents")
def get_rollout(request: HttpRequest, number: Number, page: Query[Paging], state: MemberState | None = None) -> dict[str, Any]:
    """`number` is that of the revision."""
    allow(request, Verb.READ, f"rollouts.{number}")
    rollout = rollouts.find(number)
    members = rollout.members.select_related("agent")
    if state:
        members = members.filter(state=state)
    shown = [_member_out(member) for member in members[page.offset : page.offset + page.limit]]
    return {**_rollout_out(rollout), "counts": rollouts.counts(rollout), "agents": shown}


@router.post("/rollouts/{number}/rollback", response=PlanOut, summary="Take back what the revision changed")
def roll_back(request: HttpRequest, number: Number, body: Change) -> PlanOut:
    """As a new revision; later changes stay. 409 when they touched the same fields."""
    who = author(request, Verb.CONFIGURE, f"rollouts.{number}", body.message)
    return plan_out(*rollouts.roll_back(number, who, expected=body.expected))


@router.post("/rollouts/{number}/{order}", summary="Go on, send to all now, or stop")
def give_order(request: HttpRequest, number: Number, order: Literal["continue", "now", "cancel"]) -> dict[str, Any]:
    """409 when the rollout is over."""
    actor = allow(request, Verb.CONFIGURE, f"rollouts.{number}")
    return _rollout_out(ORDERS[order](number, actor))


def _rollout_out(rollout: Rollout) -> dict[str, Any]:
    return {
        "revision": rollout.pk,
        "state": rollout.state,
        "waves": rollout.waves,
        "wave": rollout.wave,
        "tolerated": rollout.tolerated,
        "patience_seconds": rollout.patience_seconds,
        "pause_seconds": rollout.pause_seconds,
        "halted_because": rollout.halted_because,
        "started_by": rollout.started_by,
        "started_at": rollout.started_at.isoformat(),
        "ended_at": rollout.ended_at.isoformat() if rollout.ended_at else None,
    }


def _member_out(member: RolloutMember) -> dict[str, Any]:
    return {
        "agent_id": member.agent.slug,
        "wave": member.wave,
        "state": member.state,
        "reason": member.reason,
        "previous_revision": member.previous_revision,
        "reported_revision": member.agent.reported_revision,
        "sent_at": member.sent_at.isoformat() if member.sent_at else None,
    }
