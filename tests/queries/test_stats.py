"""Figures of subtrees and freshness: a table of the states, staleness as time since the last verification, the oldest directory."""

import pytest

from apps.runtime.problems import Invalid, NotFound
from apps.views import freshness
from apps.views.models import BlindSpot, Gap, Suspect, Tree
from apps.views.ports import ports
from apps.views.queries import oldest
from apps.views.queries.stats import staleness, stats
from tests.queries.trees import T0, fill, make_view

NOW = T0 + 1000


@pytest.mark.parametrize(
    ("columns", "gaps", "header"),
    [
        ({"live_sessions": 1, "leader_session": 1}, 0, "live"),
        ({"live_sessions": 0, "offline_since": T0}, 0, f'offline; since={T0:.3f}; reason="no agent is connected"'),
        ({"live_sessions": 2, "leaderless_since": T0}, 0, f'degraded; since={T0:.3f}; reason="no session leads, so nothing scans"'),
        ({"live_sessions": 1, "leader_session": 1, "source_lost": "empty"}, 0, 'degraded; reason="source lost: empty"'),
        ({"live_sessions": 1, "leader_session": 1}, 2, 'degraded; reason="2 parts are unverified since events were lost"'),
        (
            {"live_sessions": 1, "leader_session": 1, "capacity_exceeded": True},
            0,
            'degraded; reason="the view is full, new nodes are refused"',
        ),
    ],
)
def test_states_of_freshness(columns: dict[str, object], gaps: int, header: str) -> None:
    assert freshness.of_tree(Tree(**columns), gaps, NOW).header() == header


def test_a_view_is_as_fresh_as_its_worst_member() -> None:
    live = freshness.of_tree(Tree(live_sessions=1, leader_session=1, last_event_at=NOW, deep_verified_at=NOW - 5), 0, NOW)
    away = freshness.of_tree(Tree(live_sessions=0, last_event_at=NOW - 9, deep_verified_at=NOW - 50), 0, NOW)
    together = freshness.of_view([live, away])
    assert (together.state, together.as_of, together.max_unverified_age) == (freshness.State.OFFLINE, NOW - 9, 50)


@pytest.fixture
def tree() -> Tree:
    stored = make_view(last_event_at=T0 + 100)
    fill(stored, ["/d/a", "/d/sub/b", "/e/c"], {"/d": {"mtime": 5.0}, "/d/sub": {"mtime": 9.0}, "/e": {"mtime": 7.0}})
    return stored


@pytest.mark.django_db
def test_staleness_counts_from_the_last_verification(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    assert staleness(tree, "/", NOW) == 900
    monkeypatch.setattr(ports, "watched_until", lambda session: NOW - 3 if session == tree.leader_session else None)
    assert staleness(tree, "/", NOW) == 3
    Gap.objects.create(tree=tree, path="/d/sub", reason="overflow", session=1, opened_at=int((NOW - 60) * 1000))
    tree = Tree.objects.get(pk=tree.pk)
    assert staleness(tree, "/d", NOW) == 60
    assert staleness(tree, "/e", NOW) == 3
    tree.source_lost = "empty mount"
    assert staleness(tree, "/e", NOW) == 900


@pytest.mark.django_db
def test_figures_are_of_the_subtree(tree: Tree) -> None:
    Suspect.objects.create(tree=tree, path="/d/a", since=T0, until=NOW)
    BlindSpot.objects.create(tree=tree, path="/e/c", change="added", detected_at=T0)
    inside, beside, root = stats(tree, "/d", NOW), stats(tree, "/e", NOW), stats(tree, "/", NOW)
    assert [(figures["suspect_file_count"], figures["has_blind_spot"]) for figures in (inside, beside, root)] == [
        (1, False),
        (0, True),
        (1, True),
    ]
    assert [figures["item_count"] for figures in (inside, beside, root)] == [3, 1, 6]
    with pytest.raises(Invalid, match="no directory"):
        stats(tree, "/d/a", NOW)
    with pytest.raises(NotFound):
        stats(tree, "/nowhere", NOW)


@pytest.mark.django_db
def test_the_oldest_directory_is_kept_for_a_while_in_a_big_subtree_only(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    assert oldest.oldest_below(tree, "/", 3) == "/d"
    assert oldest.oldest_below(tree, "/d", 1) == "/d/sub"
    assert oldest.oldest_below(tree, "/d/sub", 0) is None
    monkeypatch.setattr(oldest, "READ_ALWAYS", 0)
    assert oldest.oldest_below(tree, "/", 3) == "/d"
    tree.directories.filter(path="/d").update(mtime=99.0)
    assert oldest.oldest_below(tree, "/", 3) == "/d"
    tree.snapshot_complete_at = T0 + 1
    assert oldest.oldest_below(tree, "/", 3) == "/e"
