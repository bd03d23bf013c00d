"""The verdict of `settled`: a table of its pure judgement, and what its evidence reads of a stored tree."""

from dataclasses import replace

import pytest

from apps.runtime.problems import NotFound
from apps.views import freshness
from apps.views.models import Audit, BlindSpot, Gap, Suspect, Tree
from apps.views.queries import sql
from apps.views.queries.evidence import UNSCANNED, Doubts, Evidence, Place
from apps.views.queries.settled import Verdict, judge, settled
from tests.queries.trees import T0, fill, make_view

NOW = T0 + 1000
LIVE = freshness.Freshness(freshness.State.LIVE, "", None, NOW, 0.0)
AWAY = freshness.Freshness(freshness.State.OFFLINE, "no agent is connected", NOW - 5, NOW, 0.0)
QUIET = Evidence(
    place=Place("/d", True, 3, 1, 30, last_change_at=NOW - 100, newest_mtime=NOW - 200, placeholder=False),
    doubts=Doubts(),
    freshness=LIVE,
    watched_since=T0,
    verified_at=None,
    storage_now=NOW,
)


def with_doubts(**doubts: object) -> Evidence:
    return replace(QUIET, doubts=Doubts(**doubts))  # type: ignore[arg-type]  # the dataclass checks its names


@pytest.mark.parametrize(
    ("evidence", "verdict", "codes"),
    [
        (QUIET, Verdict.SETTLED, []),
        (replace(QUIET, place=replace(QUIET.place, last_change_at=NOW - 59)), Verdict.CHANGING, ["recent_change"]),
        (replace(QUIET, place=replace(QUIET.place, last_change_at=NOW - 60)), Verdict.SETTLED, []),
        (with_doubts(suspects=2, suspect_paths=("/d/a", "/d/b")), Verdict.CHANGING, ["suspects"]),
        (replace(QUIET, freshness=AWAY), Verdict.UNKNOWN, ["offline"]),
        (replace(with_doubts(suspects=1), freshness=AWAY), Verdict.UNKNOWN, ["suspects", "offline"]),
        (with_doubts(gaps=(("/d/x", "overflow"),)), Verdict.UNKNOWN, ["unverified"]),
        (with_doubts(unscanned=(("/d/x", "EACCES"),)), Verdict.UNKNOWN, ["unscanned"]),
        (replace(QUIET, place=replace(QUIET.place, placeholder=True)), Verdict.UNKNOWN, ["never_listed"]),
        (with_doubts(blind_spots=1, blind_at=NOW - 500), Verdict.UNKNOWN, ["blind_spots"]),
        (replace(with_doubts(blind_spots=1, blind_at=NOW - 500), verified_at=NOW - 441), Verdict.UNKNOWN, ["blind_spots"]),
        (replace(with_doubts(blind_spots=1, blind_at=NOW - 500), verified_at=NOW - 440), Verdict.SETTLED, []),
    ],
)
def test_verdicts(evidence: Evidence, verdict: Verdict, codes: list[str]) -> None:
    found = judge(evidence, 60.0, NOW)
    assert (found.verdict, [reason.code for reason in found.reasons]) == (verdict, codes)


def test_before_any_change_was_seen_quiet_counts_from_the_newest_mtime_in_the_storages_own_time() -> None:
    just_scanned = replace(QUIET, watched_since=NOW - 1, place=replace(QUIET.place, last_change_at=NOW - 1, newest_mtime=NOW - 200))
    assert judge(just_scanned, 60.0, NOW).verdict is Verdict.SETTLED
    fast_storage = replace(just_scanned, storage_now=NOW + 3600, place=replace(just_scanned.place, newest_mtime=NOW + 3590))
    assert judge(fast_storage, 60.0, NOW).verdict is Verdict.CHANGING
    assert judge(fast_storage, 60.0, NOW).quiet_for == pytest.approx(10)


@pytest.fixture
def tree() -> Tree:
    stored = make_view(snapshot_complete_at=T0)
    fill(stored, ["/d/a", "/d/sub/b", "/d-e/c"], {"/d": {"last_change_at": int((T0 + 5) * 1000)}, "/d/sub": {}})
    return stored


@pytest.mark.django_db
def test_evidence_is_of_the_subtree_alone(tree: Tree) -> None:
    Suspect.objects.create(tree=tree, path="/d-e/c", since=T0, until=NOW + 9)
    assert settled(tree, "/d", 30.0, NOW)["state"] == "settled"
    assert settled(tree, "/d-e", 30.0, NOW)["state"] == "changing"
    assert settled(tree, "/", 30.0, NOW)["evidence"]["suspects"] == ["/d-e/c"]


@pytest.mark.django_db
def test_a_gap_above_or_below_makes_it_unknown(tree: Tree) -> None:
    Gap.objects.create(tree=tree, path="/d/sub", reason="overflow", session=1, opened_at=1)
    assert settled(tree, "/d", 30.0, NOW)["state"] == "unknown"
    assert settled(tree, "/d/sub/b", 30.0, NOW)["state"] == "unknown"
    assert "unverified" in [reason["code"] for reason in settled(tree, "/d", 30.0, NOW)["reasons"]]


@pytest.mark.django_db
def test_an_audit_that_began_later_confirms_a_blind_spot(tree: Tree) -> None:
    BlindSpot.objects.create(tree=tree, path="/d/a", change="added", detected_at=T0 + 100)
    assert settled(tree, "/d/a", 30.0, NOW)["state"] == "unknown"
    Audit.objects.create(tree=tree, epoch=1, session=1, state=Audit.State.COMPLETE, started_at=int((T0 + 131) * 1000))
    assert settled(tree, "/d/a", 30.0, NOW)["state"] == "settled"


@pytest.mark.django_db
def test_a_directory_that_could_not_be_read_makes_it_unknown(tree: Tree) -> None:
    tree.directories.filter(path="/d/sub").update(unscanned="EACCES")
    assert settled(tree, "/d", 30.0, NOW)["evidence"]["unscanned"] == [{"path": "/d/sub", "reason": "EACCES"}]
    assert settled(tree, "/d/sub/b", 30.0, NOW)["state"] == "unknown"
    assert settled(tree, "/d/a", 30.0, NOW)["state"] == "settled"


@pytest.mark.django_db
@pytest.mark.skipif(not sql.is_sqlite(), reason="PostgreSQL rewrites the condition itself")
def test_looking_for_unread_directories_reads_their_own_index_alone(tree: Tree) -> None:
    plan = sql.fetch(f"EXPLAIN QUERY PLAN {UNSCANNED}", (tree.pk, "/", "0", "/", "/", 5))
    assert "directory_unscanned" in str(plan)


@pytest.mark.django_db
def test_the_threshold_of_the_view_is_the_default(tree: Tree) -> None:
    assert settled(tree, "/d", None, NOW)["quiet_seconds"] == tree.view.hot_file_threshold


@pytest.mark.django_db
def test_an_absent_path_has_no_verdict(tree: Tree) -> None:
    with pytest.raises(NotFound):
        settled(tree, "/nowhere", None, NOW)
