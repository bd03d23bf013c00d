"""Gather the facts that apps.sessions.status decides on. One bounded number of queries for any number of objects."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Q

from apps.pipes.agents import has_drifted
from apps.pipes.models import Agent, Pipe, Rollout
from apps.runtime.clock import now
from apps.sessions import status
from apps.sessions.models import Job, Leadership, Session
from apps.sessions.services import liveness
from apps.sessions.sight import Sight
from apps.views.models import Audit, Gap, Tree, View
from fustor_schema.pipestate import PipeState, lifecycle


def session_statuses(sessions: Sequence[Session], sight: Sight, seen: dict[int, float]) -> dict[int, status.Status]:
    """Session.number → status. `seen`: what liveness.last_seen says of those that live."""
    terms = Leadership.objects.filter(sight.within("tree__view"), session__in=[session.number for session in sessions])
    led = dict(terms.values_list("session_id", "tree__source_lost"))
    return {session.number: status.of_session(_session_facts(session, seen, led)) for session in sessions}


def _session_facts(session: Session, seen: dict[int, float], led: dict[Any, str]) -> status.SessionFacts:
    return status.SessionFacts(
        ended=session.ended_at is not None,
        end_cause=Session.EndCause(session.end_cause).label if session.end_cause else "",
        idle_seconds=max(0.0, now() - seen.get(session.number, now())),
        timeout_seconds=session.timeout_seconds,
        state=PipeState(session.state),
        leads=session.number in led,
        can_realtime=session.can_realtime,
        source_lost=led.get(session.number, ""),
    )


def agent_statuses(agents: Sequence[Agent], sight: Sight) -> dict[int, status.Status]:
    """Agent.pk → status."""
    live: dict[str, list[PipeState]] = {}
    of_agents = sight.sessions().filter(agent_name__in=[agent.slug for agent in agents], ended_at__isnull=True)
    for agent_name, state in of_agents.order_by().values_list("agent_name", "state"):
        live.setdefault(agent_name, []).append(PipeState(state))
    return {agent.pk: status.of_agent(_agent_facts(agent, live.get(agent.slug, []))) for agent in agents}


def _agent_facts(agent: Agent, states: Sequence[PipeState]) -> status.AgentFacts:
    return status.AgentFacts(
        enabled=agent.enabled,
        live_sessions=len(states),
        sessions_in_error=sum(lifecycle(state) == PipeState.ERROR for state in states),
        ever_seen=agent.last_seen_at is not None,
        seen_seconds_ago=now() - agent.last_seen_at.timestamp() if agent.last_seen_at else 0.0,
        config_outdated=has_drifted(agent) or any(state & PipeState.CONF_OUTDATED for state in states),
        config_refused=agent.reported_error if has_drifted(agent) else "",
    )


def pipe_statuses(pipes: Sequence[Pipe], sight: Sight) -> dict[int, status.Status]:
    """Pipe.pk → status."""
    keys = [pipe.pk for pipe in pipes]
    annotated = Pipe.objects.filter(pk__in=keys).annotate(
        live=Count("sessions", filter=Q(sessions__ended_at__isnull=True), distinct=True),
        fed=Count("views", filter=sight.within("views"), distinct=True),
    )
    counts = {pk: (live, fed) for pk, live, fed in annotated.values_list("pk", "live", "fed")}
    seen = Leadership.objects.filter(sight.within("tree__view"))
    terms = seen.filter(session__pipe__in=keys, session__ended_at__isnull=True).select_related("session", "tree")
    leading = {term.session.pipe_id: term for term in terms if term.session is not None}
    leaders = [term.session for term in leading.values() if term.session is not None]
    of_leaders = session_statuses(leaders, sight, liveness.last_seen(leaders))
    led_trees = dict(seen.filter(tree__view__pipes__in=keys, session__isnull=False).values_list("tree__view__pipes", "tree"))
    return {pipe.pk: status.of_pipe(_pipe_facts(pipe, counts, leading.get(pipe.pk), of_leaders, led_trees)) for pipe in pipes}


def _pipe_facts(
    pipe: Pipe,
    counts: dict[int, tuple[int, int]],
    term: Leadership | None,
    of_leaders: dict[int, status.Status],
    led_trees: dict[int, int],
) -> status.PipeFacts:
    live, fed = counts.get(pipe.pk, (0, 0))
    return status.PipeFacts(
        enabled=pipe.enabled,
        receiver_enabled=pipe.receiver.enabled,
        paused=pipe.paused,
        views=fed,
        live_sessions=live,
        has_leader=term is not None or pipe.pk in led_trees,
        leader=of_leaders.get(term.session_id) if term is not None and term.session_id is not None else None,
        snapshot_complete=term is None or term.tree.snapshot_complete_at is not None,
    )


def view_statuses(views: Sequence[View]) -> dict[int, status.Status]:
    """View.pk → status."""
    keys = [view.pk for view in views]
    trees: dict[int, list[Tree]] = {}
    for tree in Tree.objects.filter(view__in=keys):
        trees.setdefault(tree.view_id, []).append(tree)
    fed = set(Pipe.objects.filter(views__in=keys, enabled=True).values_list("views", flat=True))
    held = _counts(Audit.objects.filter(tree__view__in=keys, state=Audit.State.HELD))
    gaps = _counts(Gap.objects.filter(tree__view__in=keys, closed_at__isnull=True))
    return {
        view.pk: status.of_view(
            _view_facts(view, trees.get(view.pk, []), view.pk in fed, held.get(view.pk, 0), gaps.get(view.pk, 0))
        )
        for view in views
    }


def _counts(rows: Any) -> dict[int, int]:
    return dict(rows.order_by().values_list("tree__view").annotate(Count("pk")))


def _view_facts(view: View, trees: Sequence[Tree], fed: bool, held: int, gaps: int) -> status.ViewFacts:
    offline = [tree.offline_since for tree in trees if tree.offline_since is not None]
    return status.ViewFacts(
        enabled=view.enabled,
        fed=fed,
        snapshot_complete=bool(trees) and all(tree.snapshot_complete_at is not None for tree in trees),
        leader=bool(trees) and all(tree.leader_session is not None for tree in trees),
        live_sessions=sum(tree.live_sessions for tree in trees),
        offline_seconds=now() - min(offline) if offline else 0.0,
        source_lost=next((tree.source_lost for tree in trees if tree.source_lost), ""),
        capacity_exceeded=any(tree.capacity_exceeded for tree in trees),
        audits_held=held,
        open_gaps=gaps,
    )


def job_status(job: Job) -> status.Status:
    """The status of one job; no query."""
    return status.of_job(
        status.JobFacts(
            state=job.state,
            error=job.error,
            cancel_requested=job.cancel_requested,
            delivery=job.delivery,
            attempt=job.attempt,
            skipped=job.result.get("turns", 1) if job.was_skipped else 0,
        )
    )


def rollout_status(rollout: Rollout) -> status.Status:
    """The status of one rollout; no query."""
    return status.of_rollout(status.RolloutFacts(rollout.state, rollout.wave, len(rollout.waves), rollout.halted_because))
