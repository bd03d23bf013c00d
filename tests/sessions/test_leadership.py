"""Who leads: first come, no pre-emption, rising epochs, hand-over, restoring (R22, R24, R51)."""

from collections.abc import Callable

import pytest
from django.db import IntegrityError, transaction

from apps.pipes.models import PipeView
from apps.runtime.clock import ManualClock
from apps.runtime.problems import Conflict
from apps.sessions.models import Leadership, LeadershipChange, Session
from apps.sessions.services import leadership, sessions
from apps.views.models import Tree, View
from tests.sessions.conftest import Site

pytestmark = pytest.mark.usefixtures("time")


def test_the_first_leads_and_the_view_knows(site: Site) -> None:
    first, second = site.open("a:p"), site.open("b:p")
    tree = site.tree
    assert (tree.leader_session, tree.live_sessions, tree.epoch) == (first.number, 2, 1)
    assert leadership.epochs_of(second) == {}


def test_the_database_allows_no_second_leader(site: Site) -> None:
    second = (site.open("a:p"), site.open("b:p"))[1]
    with pytest.raises(IntegrityError), transaction.atomic():
        Leadership.objects.create(tree=site.tree, session=second, epoch=9)


def test_the_database_allows_no_second_live_session_of_a_task(site: Site) -> None:
    session = site.open("a:p")
    session.number, session.id = None, None
    with pytest.raises(IntegrityError), transaction.atomic():
        Session.objects.create(
            pipe=site.pipe,
            task_id="a:p",
            timeout_seconds=30,
            created_at=session.created_at,
            last_active_at=session.created_at,
            silent_after=session.silent_after,
        )


def test_hand_over_begins_a_new_term_and_names_who_did_it(site: Site) -> None:
    first, second = site.open("a:p"), site.open("b:p")
    with transaction.atomic():
        leadership.hand_over(site.tree, second, "ada")
    assert leadership.epochs_of(first) == {}
    assert leadership.epochs_of(second) == {site.tree.pk: 2}
    change = LeadershipChange.objects.first()
    assert change is not None
    assert (change.cause, change.actor, change.previous_task_id) == ("handed_over", "ada", "a:p")
    assert site.tree.leader_session == second.number


def test_leadership_is_handed_only_to_a_live_follower(site: Site) -> None:
    first, second = site.open("a:p"), site.open("b:p")
    sessions.end(second, Session.EndCause.CLOSED)
    with pytest.raises(Conflict, match="no live session"):
        leadership.hand_over(site.tree, second, "ada")
    with pytest.raises(Conflict, match="already"):
        leadership.hand_over(site.tree, first, "ada")


def test_epochs_survive_times_without_a_leader(site: Site) -> None:
    for _ in range(3):
        sessions.end(site.open("a:p"), Session.EndCause.CLOSED)
    assert site.tree.epoch == 3
    assert Leadership.objects.get().session is None
    assert list(LeadershipChange.objects.order_by("id").values_list("epoch", "task_id")) == [
        (1, "a:p"),
        (1, ""),
        (2, "a:p"),
        (2, ""),
        (3, "a:p"),
        (3, ""),
    ]


def test_a_superseded_leader_keeps_the_tree_in_its_task_but_in_a_new_term(site: Site) -> None:
    site.open("a:p")
    site.open("b:p")
    again = site.open("a:p")
    change = LeadershipChange.objects.first()
    assert change is not None
    assert change.cause == "superseded"
    assert change.task_id == "b:p"
    assert leadership.epochs_of(again) == {}


def test_a_forest_settles_each_scope_on_its_own(make_site: Callable[..., Site]) -> None:
    site = make_site(driver="fs-forest", pipes=2)
    one = site.open("a:p", pipe_id=site.pipes[0].slug)
    other = site.open("a:p", pipe_id=site.pipes[1].slug)
    scopes = dict(Tree.objects.filter(view=site.view).values_list("scope", "leader_session"))
    assert scopes == {site.pipes[0].slug: one.number, site.pipes[1].slug: other.number}


def test_pipes_of_one_plain_view_share_its_leader(make_site: Callable[..., Site]) -> None:
    site = make_site(pipes=2)
    first = site.open("a:p", pipe_id=site.pipes[0].slug)
    second = site.open("b:p", pipe_id=site.pipes[1].slug)
    assert site.tree.leader_session == first.number
    sessions.end(first, Session.EndCause.CLOSED)
    assert site.tree.leader_session == second.number


def test_restore_gives_an_added_view_its_leader(site: Site) -> None:
    session = site.open()
    added = View.objects.create(slug="added")
    PipeView.objects.create(pipe=site.pipe, view=added)
    assert leadership.restore() == 1
    assert leadership.restore() == 0
    assert len(leadership.epochs_of(session)) == 2


def test_ending_twice_is_one_end(site: Site, time: ManualClock) -> None:
    session = site.open()
    assert sessions.end(session, Session.EndCause.CLOSED)
    assert not sessions.end(session, Session.EndCause.CLOSED)
    assert LeadershipChange.objects.filter(task_id="").count() == 1
