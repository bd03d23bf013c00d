"""Who leads: first come, no pre-emption, epochs that only rise (R22, R24). Every change is recorded with its cause.

Lock order everywhere in this app: pipe, then sessions, then trees by id. `settle` runs inside the caller's transaction,
after the caller has written the session that opened or ended, so whoever gets the tree's lock last sees everyone.
"""

from collections.abc import Iterable

from django.db import transaction
from django.db.models import QuerySet

from apps.pipes.models import Pipe
from apps.runtime import hints
from apps.runtime.clock import now, now_datetime
from apps.runtime.problems import Conflict
from apps.sessions.models import Leadership, LeadershipChange, Session
from apps.sessions.models.leadership import LeadershipCause
from apps.sessions.services import phases
from apps.sessions.services.trees import ensure_trees, pipes_feeding
from apps.views import presence
from apps.views.models import Tree


def live_sessions(tree: Tree) -> QuerySet[Session]:
    """The sessions that could lead the tree, the longest-lived first."""
    return Session.objects.filter(ended_at__isnull=True, pipe__in=pipes_feeding(tree)).order_by("number")


def settle(trees: Iterable[Tree], cause: LeadershipCause) -> list[Leadership]:
    """Make every one of these trees have a leader if any of its sessions lives; the new terms, if there are any.

    `cause` says why the question came up; it is recorded with each change.
    """
    begun = [term for tree in _locked(trees) if (term := _settle_one(tree, cause)) is not None]
    for term in begun:
        phases.plan_term(term)
    return begun


def restore() -> int:
    """Give a leader to every tree that has live sessions and none, or one that feeds it no more; how many were settled.

    Opening and ending sessions settle at once; this is for what configuration changes leave behind (a view added to a pipe).
    """
    feeding = Pipe.objects.filter(sessions__ended_at__isnull=True).distinct()
    trees = {tree.pk: tree for pipe in feeding for tree in ensure_trees(pipe)}
    stale = [tree for tree in trees.values() if _is_unsettled(tree)]
    if stale:
        with transaction.atomic():
            settle(stale, LeadershipCause.RESTORED)
    return len(stale)


def _is_unsettled(tree: Tree) -> bool:
    leader = Leadership.objects.filter(tree=tree).values_list("session_id", flat=True).first()
    live = live_sessions(tree).count()
    leaderless = bool(live) and not _is_live(live_sessions(tree), leader)
    return leaderless or tree.leader_session != leader or tree.live_sessions != live


def hand_over(tree: Tree, to: Session, actor: str) -> Leadership:
    """Make `to` the leader of the tree at once, in a new term. Raises Conflict when it is not one of its live sessions."""
    (locked,) = _locked([tree])
    leadership = _leadership(locked)
    if not live_sessions(locked).filter(number=to.number).exists():
        raise Conflict(
            f"{to.task_id} has no live session on {locked.view.slug}, so it cannot lead.",
            code="not_a_candidate",
            fix="Choose one of the followers in the list.",
        )
    if leadership.session_id == to.number:
        raise Conflict(f"{to.task_id} leads {locked.view.slug} already.", code="leads_already")
    _begin_term(locked, leadership, to, LeadershipCause.HANDED_OVER, actor)
    _tell_view(locked, leadership)
    phases.plan_term(leadership)
    return leadership


def epochs_of(session: Session) -> dict[int, int]:
    """Tree id → epoch, for each tree that the session leads."""
    return dict(Leadership.objects.filter(session=session).values_list("tree_id", "epoch"))


def _is_live(candidates: QuerySet[Session], number: int | None) -> bool:
    return number is not None and candidates.filter(number=number).exists()


def _locked(trees: Iterable[Tree]) -> list[Tree]:
    ids = [tree.pk for tree in trees]
    return list(Tree.objects.select_for_update(of=("self",), no_key=True).select_related("view").filter(pk__in=ids).order_by("pk"))


def _leadership(tree: Tree) -> Leadership:
    leadership, _ = Leadership.objects.select_related("session").get_or_create(tree=tree)
    leadership.tree = tree
    return leadership


def _settle_one(tree: Tree, cause: LeadershipCause) -> Leadership | None:
    leadership = _leadership(tree)
    candidates = live_sessions(tree)
    begun = False
    if not _is_live(candidates, leadership.session_id):
        heir = candidates.first()
        if heir is not None:
            _begin_term(tree, leadership, heir, cause)
            begun = True
        elif leadership.session_id is not None:
            _end_term(tree, leadership, cause)
    _tell_view(tree, leadership)
    return leadership if begun else None


def _begin_term(tree: Tree, leadership: Leadership, leader: Session, cause: LeadershipCause, actor: str = "") -> None:
    previous = leadership.session.task_id if leadership.session else ""
    # the tree keeps the epoch as well: a leadership row that was lost with its tree's history must not restart at 1
    tree.epoch = leadership.epoch = max(leadership.epoch, tree.epoch) + 1
    leadership.session, leadership.since = leader, now_datetime()
    leadership.save()
    _record(tree, leadership, previous, cause, actor)


def _end_term(tree: Tree, leadership: Leadership, cause: LeadershipCause) -> None:
    previous = leadership.session.task_id if leadership.session else ""
    leadership.session, leadership.since = None, None
    leadership.save()
    _record(tree, leadership, previous, cause, "")


def _record(tree: Tree, leadership: Leadership, previous: str, cause: LeadershipCause, actor: str) -> None:
    LeadershipChange.objects.create(
        tree=tree,
        epoch=leadership.epoch,
        previous_task_id=previous,
        task_id=leadership.session.task_id if leadership.session else "",
        cause=cause,
        actor=actor,
        at=now_datetime(),
    )
    hints.changed("fleet", f"view.{tree.view_id}", *(f"pipe.{pk}" for pk in pipes_feeding(tree).values_list("pk", flat=True)))


def _tell_view(tree: Tree, leadership: Leadership) -> None:
    presence.update(
        tree.pk,
        live_sessions=live_sessions(tree).count(),
        leader_session=leadership.session_id,
        epoch=leadership.epoch,
        now=now(),
    )
