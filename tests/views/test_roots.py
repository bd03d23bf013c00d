"""R20: a session that looks at another storage than the tree's proves no absence, from the first snapshot on."""

from dataclasses import replace

from apps.views import sentinel
from apps.views.claims import Origin
from apps.views.models import Audit
from apps.views.sentinel import Look
from fustor_schema.wire import FsRow
from tests.views.conftest import Bench, d, f
from tests.views.test_native import audit, close

DISK, MOUNT_POINT = "inode:2:d15c", "inode:9:d15c"


def mounted(bench: Bench, *rows: FsRow) -> Origin:
    """An agent that was started with its disk in place, its snapshot complete."""
    agent = replace(bench.session(protocol=3), root_id=DISK)
    bench.sn(agent, *rows, end=True)
    bench.clock.advance(600)
    return agent


def unmounted(bench: Bench) -> Origin:
    """The session that the same agent opens once its disk is gone."""
    return replace(bench.session(protocol=3), root_id=MOUNT_POINT)


def test_r20_the_first_audit_after_a_snapshot_of_another_storage_deletes_nothing(bench: Bench) -> None:
    mounted(bench, d("/d"), f("/d/a"))
    outcome = audit(bench, unmounted(bench), d("/", 900.0), close("/"), root_id=MOUNT_POINT)
    assert outcome.audit_state == Audit.State.PARTIAL
    assert bench.names() == {"/d", "/d/a"}
    bench.tree.refresh_from_db()
    assert "another file system" in bench.tree.source_lost


def test_r20_a_scan_of_another_storage_deletes_nothing_and_one_of_the_right_storage_does(bench: Bench) -> None:
    agent = mounted(bench, d("/d"), f("/d/a"))
    lost = unmounted(bench)
    bench.push(lost, "on_demand_job", [close("/")])
    bench.push(lost, "on_demand_job", [close("/d")])
    bench.rm(lost, "/d/a", source="on_demand_job")
    assert bench.names() == {"/d", "/d/a"}
    bench.push(agent, "on_demand_job", [d("/d"), close("/d")])
    assert bench.names() == {"/d"}


def test_r20_what_the_sentinel_of_another_storage_misses_is_not_gone(bench: Bench) -> None:
    agent = mounted(bench, f("/a"))
    bench.rt(agent, f("/a", is_atomic_write=False))
    missing = [Look(path="/a", status="missing")]
    assert sentinel.feedback(bench.tree.pk, unmounted(bench), missing, bench.now_ms) == 0
    assert bench.names() == {"/a"}
    assert sentinel.feedback(bench.tree.pk, agent, missing, bench.now_ms) == 1
    assert bench.names() == set()


def test_r20_a_snapshot_of_another_storage_completes_nothing(bench: Bench) -> None:
    mounted(bench, f("/a"))
    bench.tree.refresh_from_db()
    last = bench.tree.last_snapshot_at
    assert not bench.sn(unmounted(bench), f("/other"), end=True).snapshot_completed
    bench.tree.refresh_from_db()
    assert bench.tree.source_lost
    assert bench.tree.last_snapshot_at == last
    assert "/a" in bench.names()


def test_r20_a_listing_of_another_storage_confirms_what_it_holds_and_lists_no_directory(bench: Bench) -> None:
    agent = mounted(bench, d("/d"))
    listing = [f("/d/a"), close("/d", "a")]
    bench.sn(agent, *listing)
    before = bench.directories()["/d"]
    bench.clock.advance(10)
    bench.sn(unmounted(bench), *listing)
    after = bench.directories()["/d"]
    assert after.confirmed_at > before.confirmed_at
    assert after.listed_at == before.listed_at > 0


def test_r20_a_tree_that_holds_nothing_takes_the_disk_that_is_mounted_late(bench: Bench) -> None:
    early = unmounted(bench)
    bench.sn(early, end=True)
    agent = replace(bench.session(protocol=3), root_id=DISK)
    audit(bench, agent, d("/", 900.0), f("/a"), close("/", "a"), root_id=DISK)
    bench.tree.refresh_from_db()
    assert (bench.tree.root_id, bench.tree.source_lost) == (DISK, "")
    assert bench.names() == {"/a"}
