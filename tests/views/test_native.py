"""What agents of protocol 3 say on top: dir_close, manifests, audit ids, mount identity, moves, gaps."""

import pytest

from apps.runtime.problems import Conflict
from apps.views import audits, services
from apps.views.claims import Origin
from apps.views.models import Audit, BlindSpot, Flag, Gap, Recheck, Suspect, Tombstone
from apps.views.outcome import Outcome
from fustor_schema.listing import names_hash
from fustor_schema.wire import Event, FsRow
from tests.views.conftest import Bench, d, f


def close(path: str, *names: str, ok: bool = True, reason: str | None = None, count: int | None = None) -> FsRow:
    """The proof that the listing of a directory is complete."""
    return FsRow(
        path=path,
        kind="dir_close",
        ok=ok,
        reason=reason,
        count=len(names) if count is None else count,
        names_hash=names_hash(name.encode() for name in names),
    )


def native(bench: Bench, *rows: FsRow) -> Origin:
    """A native agent whose snapshot is complete, ten seconds ago."""
    agent = bench.session(protocol=3)
    bench.sn(agent, *rows, end=True)
    bench.clock.advance(10)
    return agent


def audit(bench: Bench, agent: Origin, *rows: FsRow, audit_id: str = "a1", root_id: str = "root") -> Outcome:
    """One native audit of one batch, with a manifest that fits what was sent."""
    now = bench.now_ms
    audits.start(bench.tree.pk, agent, audit_id=audit_id, started_ms=now, root_id=root_id, now_ms=now)
    closes = [row for row in rows if row.kind == "dir_close"]
    manifest = {
        "batches": 1,
        "rows": len(rows),
        "directories": len(closes) + sum(row.audit_skipped for row in rows),
        "errors": sum(not row.ok for row in closes),
    }
    return bench.push(agent, "audit", list(rows), end=True, audit_id=audit_id, metadata={"manifest": manifest, "root_id": root_id})


def move(bench: Bench, agent: Origin, origin: str, target: str, row: FsRow) -> Outcome:
    event = Event("move", [row], "realtime", "fs", "files", observed_at=bench.now_ms, from_=origin, to=target)
    return bench.deliver(agent, "realtime", [event])


def test_r11_a_proven_listing_deletes_what_it_lacks(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"), f("/d/b"), d("/d/sub"), f("/d/sub/x"))
    outcome = audit(bench, agent, d("/d", 200.0), f("/d/a"), close("/d", "a"))
    assert outcome.audit_state == Audit.State.COMPLETE
    assert bench.names() == {"/d", "/d/a"}
    assert {grave.path for grave in Tombstone.objects.all()} == {"/d/b", "/d/sub"}


def test_r11_an_empty_directory_proves_itself_empty(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"))
    audit(bench, agent, d("/d", 200.0), close("/d"))
    assert bench.names() == {"/d"}


def test_r11_without_a_close_nothing_is_absent(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"), f("/d/b"))
    assert audit(bench, agent, d("/d", 200.0), f("/d/a")).audit_state == Audit.State.COMPLETE
    assert bench.names() == {"/d", "/d/a", "/d/b"}


def test_r11_a_directory_may_close_in_a_later_batch(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"), f("/d/b"), f("/d/gone"))
    audits.start(bench.tree.pk, agent, audit_id="x", started_ms=bench.now_ms, root_id=None, now_ms=bench.now_ms)
    bench.push(agent, "audit", [d("/d", 200.0), f("/d/a")], audit_id="x")
    bench.push(agent, "audit", [f("/d/b"), close("/d", "a", "b")], end=True, audit_id="x")
    assert bench.names() == {"/d", "/d/a", "/d/b"}


def test_a_listing_that_does_not_add_up_makes_the_audit_partial(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"), f("/d/b"))
    outcome = audit(bench, agent, d("/d", 200.0), f("/d/a"), close("/d", "a", "b"))
    assert outcome.audit_state == Audit.State.PARTIAL
    assert bench.names() == {"/d", "/d/a", "/d/b"}


def test_r10_a_manifest_that_was_not_applied_makes_the_audit_partial(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"), f("/d/b"))
    bench.push(
        agent, "audit", [d("/d", 200.0), f("/d/a"), close("/d", "a")], end=True, audit_id="x",
        metadata={"manifest": {"batches": 2, "rows": 9, "directories": 1, "errors": 0}},
    )  # fmt: skip
    assert Audit.objects.get().state == Audit.State.PARTIAL
    assert bench.names() == {"/d", "/d/a", "/d/b"}


def test_s062_rows_of_an_audit_that_is_over_are_refused(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"))
    audit(bench, agent, d("/d"), close("/", "d"), audit_id="one")
    with pytest.raises(Conflict, match="over"):
        bench.push(agent, "audit", [f("/d/b")], audit_id="one")


def test_an_audit_that_nobody_started_takes_the_place_of_the_open_one(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"))
    bench.push(agent, "audit", [d("/d")], audit_id="one")
    bench.push(agent, "audit", [d("/d")], audit_id="two")
    assert dict(Audit.objects.values_list("audit_id", "state")) == {"one": "ABORTED", "two": "OPEN"}


def test_s049_a_directory_that_cannot_be_listed_keeps_its_children(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"))
    outcome = audit(bench, agent, d("/d", 200.0), close("/d", ok=False, reason="EIO"))
    assert outcome.audit_state == Audit.State.COMPLETE
    assert bench.names() == {"/d", "/d/a"}
    folder = bench.directories()["/d"]
    assert (folder.unscanned, folder.mtime) == ("EIO", 200.0)


def test_s045_another_mount_proves_nothing(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"))
    audit(bench, agent, d("/"), d("/d"), close("/", "d"), audit_id="one", root_id="root")
    outcome = audit(bench, agent, d("/"), close("/"), audit_id="two", root_id="other")
    assert outcome.audit_state == Audit.State.PARTIAL
    assert bench.names() == {"/d", "/d/a"}
    assert "another file system" in bench.fresh_tree().source_lost


def test_an_on_demand_scan_removes_what_its_listing_lacks(bench: Bench) -> None:
    agent = native(bench, d("/d"), f("/d/a"), f("/d/b"))
    bench.push(agent, "on_demand_job", [d("/d"), f("/d/a"), close("/d", "a")])
    assert bench.names() == {"/d", "/d/a"}
    assert BlindSpot.objects.get().path == "/d/b"


def test_s040_a_directory_is_renamed_with_all_below_it(bench: Bench) -> None:
    agent = native(bench, d("/old"), d("/old/sub"), f("/old/sub/x", 5.0, 3), f("/old/y", 6.0, 4), d("/to"))
    move(bench, agent, "/old", "/to/new", d("/to/new"))
    assert bench.names() == {"/to", "/to/new", "/to/new/sub", "/to/new/sub/x", "/to/new/y"}
    assert bench.totals("/to") == (2, 2, 7, 6.0)
    assert bench.totals("/") == (2, 3, 7, 6.0)
    assert Tombstone.objects.get().path == "/old"
    bench.sn(agent, f("/old/y"), at=-1)
    assert "/old" not in bench.names()


def test_s041_a_rename_over_a_file_leaves_one(bench: Bench) -> None:
    agent = native(bench, f("/a", 5.0, 3), f("/b", 9.0, 8))
    move(bench, agent, "/a", "/b", f("/b", 5.0, 3))
    assert bench.names() == {"/b"}
    assert bench.files()["/b"].size == 3
    assert bench.totals("/") == (1, 0, 3, 5.0)


def test_a_renamed_directory_is_gone_on_with_in_the_same_batch(bench: Bench) -> None:
    agent = native(bench, d("/a"), f("/a/x", 5.0, 3), f("/a/y", 5.0, 4))
    now = bench.now_ms
    bench.deliver(
        agent,
        "realtime",
        [
            Event("move", [d("/b")], "realtime", "fs", "files", observed_at=now, from_="/a", to="/b"),
            Event("update", [f("/b/x", 6.0, 30)], "realtime", "fs", "files", observed_at=now),
            Event("delete", [FsRow(path="/b/y")], "realtime", "fs", "files", observed_at=now),
            Event("insert", [f("/b/z", 7.0, 1)], "realtime", "fs", "files", observed_at=now),
        ],
    )
    assert bench.names() == {"/b", "/b/x", "/b/z"}
    assert bench.totals("/") == (2, 1, 31, 7.0)


def test_mv_a_b_mv_b_a_with_moves(bench: Bench) -> None:
    agent = native(bench, d("/A"), *(f(f"/A/{number}") for number in range(5)))
    move(bench, agent, "/A", "/B", d("/B"))
    move(bench, agent, "/B", "/A", d("/A"))
    assert bench.names() == {"/A", *(f"/A/{number}" for number in range(5))}


def test_one_rename_told_by_two_agents_keeps_what_the_first_one_moved(bench: Bench) -> None:
    first = native(bench, d("/a"), f("/a/x"), f("/a/y"), d("/to"))
    second = bench.session(leader=False, protocol=3)
    move(bench, first, "/a", "/to/a", d("/to/a"))
    # the second agent is late: a word of before the rename, then the rename itself
    bench.rt(second, f("/a/late"))
    move(bench, second, "/a", "/to/a", d("/to/a"))
    assert bench.names() == {"/to", "/to/a", "/to/a/x", "/to/a/y"}
    assert "/to/a" in {recheck.path for recheck in Recheck.objects.all()}


def test_a_suspect_moves_with_its_directory(bench: Bench) -> None:
    agent = native(bench, d("/a"))
    bench.rt(agent, f("/a/x", is_atomic_write=False))
    move(bench, agent, "/a", "/b", d("/b"))
    assert [suspect.path for suspect in Suspect.objects.all()] == ["/b/x"]
    assert bench.files()["/b/x"].flags & Flag.PARTIAL


def test_r37_a_gap_stays_open_until_a_later_scan_completes(bench: Bench) -> None:
    agent = native(bench, d("/d"))
    before = bench.now_ms - 1
    bench.deliver(agent, "realtime", [Event("gap", [], "realtime", "fs", scope="/d", reason="overflow", observed_at=bench.now_ms)])
    assert Recheck.objects.get().path == "/d"
    services.scan_completed(bench.tree.pk, agent, path="/d", recursive=True, started_ms=before, now_ms=bench.now_ms)
    assert Gap.objects.get().closed_at is None
    bench.clock.advance(5)
    services.scan_completed(bench.tree.pk, agent, path="/", recursive=True, started_ms=bench.now_ms, now_ms=bench.now_ms)
    assert Gap.objects.get().closed_at == bench.now_ms


def test_totals_by_owner_follow_files_and_moves(bench: Bench) -> None:
    agent = native(bench, d("/a"), f("/a/x", size=10, uid=7), f("/a/y", size=5, uid=8), d("/b"))
    move(bench, agent, "/a", "/b/a", d("/b/a"))
    bench.rt(agent, f("/b/a/y", size=6, uid=7))
    bench.rm(agent, "/b/a/x")
    assert bench.owners("/b") == {7: (1, 6), 8: (0, 0)}
    assert bench.owners("/") == {7: (1, 6), 8: (0, 0)}
    bench.rm(agent, "/b")
    assert bench.owners("/") == {7: (0, 0), 8: (0, 0)}
