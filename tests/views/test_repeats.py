"""Listings that are known by their digest: not read, and yet all is as if they had been read row by row."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.runtime import clock
from apps.runtime.clock import ManualClock
from apps.views import audits, repeats, services
from apps.views.apply import apply_batch
from apps.views.claims import Origin
from apps.views.models import Audit, BlindSpot, Directory, File, Recheck, Suspect, Tombstone, Tree, View
from fustor_schema.decoding import decode_envelope, decode_old_scan, decode_scan
from fustor_schema.wire import Envelope, Event, FsRow
from tests.views.conftest import Bench, d, f
from tests.views.test_fuzz import examples
from tests.views.test_native import close

NAMES = ("a", "b", "c")
FOLDERS = ("/d", "/e", "/d/sub")
# few enough that a listing often says again what an earlier one said; the last one is hot while the clock stands there
VARIANTS = ((1, 100.0), (2, 100.0), (1, 200.0), (1, ManualClock().now()))


def listing(path: str, *names: str, mtime: float = 100.0) -> list[FsRow]:
    return [*(f(f"{path}/{name}", mtime) for name in names), close(path, *names)]


def known(bench: Bench, *rows: FsRow, **fields: Any) -> set[int]:
    """The events of a scan of one event that are known by their digest."""
    event = Event("update", list(rows), "snapshot", "fs", "files", observed_at=bench.now_ms)
    sent = Envelope([msgspec.structs.replace(event, **fields)], "snapshot")
    return set(repeats.find(bench.tree.pk, decode_scan(msgspec.json.encode(sent))).known)


def told(bench: Bench) -> Origin:
    """An agent that has listed `/d` in a snapshot."""
    agent = bench.session(protocol=3)
    bench.sn(agent, d("/d"))
    bench.sn(agent, *listing("/d", "a", "b"), end=True)
    bench.clock.advance(10)
    return agent


def test_a_listing_is_known_from_its_first_time_on(bench: Bench) -> None:
    agent = told(bench)
    assert known(bench, *listing("/d", "a", "b")) == {0}
    outcome = bench.sn(agent, *listing("/d", "a", "b"))
    assert (outcome.rows, outcome.applied, outcome.ignored) == (3, 3, 0)
    folder = bench.directories()["/d"]
    assert (folder.confirmed_at, folder.listed_at) == (bench.now_ms, bench.now_ms)


@pytest.mark.parametrize(
    "rows",
    [
        listing("/d", "a", "b", mtime=101.0),
        listing("/d", "a"),
        listing("/d", "b", "a"),
        listing("/d", "a", "b")[:-1],
        [*listing("/d", "a", "b")[:-1], close("/d", ok=False, reason="EIO", count=2)],
        [*listing("/d", "a", "b")[:-1], close("/other", "a", "b")],
        [*listing("/d", "a", "b")[:-1], close("/d/", "a", "b")],
    ],
    ids=["changed", "shorter", "in another order", "not closed", "failed", "of another directory", "odd path"],
)
def test_anything_else_is_read(bench: Bench, rows: list[FsRow]) -> None:
    told(bench)
    assert known(bench, *rows) == set()


@pytest.mark.parametrize("fields", [{"event_type": "delete"}, {"message_source": "realtime"}])
def test_only_what_a_scan_lists_is_known(bench: Bench, fields: dict[str, Any]) -> None:
    told(bench)
    assert known(bench, *listing("/d", "a", "b"), **fields) == set()


def test_what_changed_since_is_compared_again(bench: Bench) -> None:
    agent = told(bench)
    bench.rt(agent, f("/d/a", 300.0, 5))
    assert known(bench, *listing("/d", "a", "b")) == set()
    bench.rm(agent, "/d/a")
    bench.rt(agent, f("/d/a"))
    assert known(bench, *listing("/d", "a", "b")) == set()
    bench.sn(agent, *listing("/d", "a", "b"))
    assert known(bench, *listing("/d", "a", "b")) == {0}


def test_a_directory_with_directories_is_always_read(bench: Bench) -> None:
    agent = told(bench)
    bench.rt(agent, d("/d/sub"))
    rows = [f("/d/a"), f("/d/b"), d("/d/sub"), close("/d", "a", "b", "sub")]
    bench.sn(agent, *rows)
    assert known(bench, *rows) == set()


def test_a_refused_listing_is_not_remembered(bench: Bench) -> None:
    agent = told(bench)
    bench.rm(agent, "/d/a")
    outcome = bench.sn(agent, *listing("/d", "a", "b"), at=-5)
    assert outcome.ignored == 1
    assert known(bench, *listing("/d", "a", "b")) == set()


def test_rows_of_another_directory_do_not_hide_behind_a_close(bench: Bench) -> None:
    """The names of `/d` add up, but half of them came in another event, and this one speaks of `/e`."""
    agent = bench.session(protocol=3)
    bench.sn(agent, d("/d"), d("/e"))
    mixed = [f("/d/b"), f("/e/x"), close("/d", "a", "b")]
    when = bench.now_ms
    events = [Event("update", rows, "snapshot", "fs", "files", index=when, observed_at=when) for rows in ([f("/d/a")], mixed)]
    bench.deliver(agent, "snapshot", events)
    assert known(bench, *mixed) == set()


def test_two_listings_of_one_directory_in_a_batch_are_both_read(bench: Bench) -> None:
    agent = told(bench)
    when = bench.now_ms
    both = (listing("/d", "a", mtime=300.0), listing("/d", "a", "b"))
    events = [Event("update", rows, "snapshot", "fs", "files", index=when, observed_at=when) for rows in both]
    bench.deliver(agent, "snapshot", events)
    assert bench.files()["/d/a"].mtime == 100.0


def test_a_repeated_listing_counts_in_the_manifest_of_its_audit(bench: Bench) -> None:
    agent = told(bench)
    now = bench.now_ms
    audits.start(bench.tree.pk, agent, audit_id="a1", started_ms=now, root_id="root", now_ms=now)
    manifest = {"batches": 1, "rows": 3, "directories": 1, "errors": 0}
    rows, metadata = listing("/d", "a", "b"), {"manifest": manifest, "root_id": "root"}
    outcome = bench.push(agent, "audit", rows, end=True, audit_id="a1", metadata=metadata)
    assert outcome.audit_state == Audit.State.COMPLETE
    assert bench.names() == {"/d", "/d/a", "/d/b"}


@pytest.mark.parametrize("rows", [[f("/d/a"), f("/d/b")], [d("/e"), f("/e/x"), f("/d/a"), f("/d/b"), f("/e/y")]])
def test_of_an_old_client_the_files_of_a_directory_are_known_where_they_follow_each_other(bench: Bench, rows: list[FsRow]) -> None:
    agent = bench.session()
    for _ in range(2):
        event = Event("update", rows, "snapshot", "fs", "files", index=bench.now_ms)
        batch = decode_old_scan(msgspec.json.encode(Envelope([event], "snapshot")))
        found = repeats.find(bench.tree.pk, batch)
        outcome = apply_batch(bench.tree.pk, agent, batch, bench.now_ms)
        assert (outcome.rows, outcome.applied, outcome.rejected) == (len(rows), len(rows), [])
    assert [run.directory for runs in found.known.values() for run in runs.values()] == ["/d"]
    assert bench.names() >= {"/d/a", "/d/b"}


def test_of_an_old_clients_audit_every_row_is_read(bench: Bench) -> None:
    event = Event("update", [f("/d/a")], "audit", "fs", "files", index=bench.now_ms)
    assert decode_old_scan(msgspec.json.encode(Envelope([event], "audit"))).packed == {}


STATES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VARIANTS), min_size=1)
PATHS = st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES)).map("/".join)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("list"), st.sampled_from(FOLDERS), STATES, st.sampled_from(["snapshot", "audit"])),
        *[st.tuples(st.just("again"), st.integers(1, 2), st.just(None), st.sampled_from(["snapshot", "audit"]))] * 3,
        st.tuples(st.just("end"), st.just(None), st.just(None), st.just("")),
        st.tuples(st.just("write"), PATHS, st.sampled_from(VARIANTS), st.just("")),
        st.tuples(st.just("delete"), st.one_of(PATHS, st.sampled_from(FOLDERS)), st.just(None), st.just("")),
        st.tuples(st.just("move"), st.one_of(PATHS, st.sampled_from(FOLDERS)), PATHS, st.just("")),
    ),
    min_size=4,
    max_size=14,
)


class Twins:
    """Two trees that hear the same; one reads every row, the other knows by their digest what it heard before."""

    def __init__(self, protocol: int) -> None:
        self.trees: list[Tree] = []
        for slug in ("plain", "digest"):
            View.objects.filter(slug=slug).delete()
            self.trees.append(services.ensure_tree(View.objects.create(slug=slug, brake_rows=10_000)))
        self.agent = Origin(session=1, protocol=protocol)
        self.decode = decode_scan if self.agent.is_native else decode_old_scan
        self.heard: list[list[FsRow]] = []
        self.audits = 0
        self.hits = 0

    def close(self) -> None:
        for tree in self.trees:
            services.drop_view_trees(tree.view)
            tree.view.delete()

    def take(self, step: tuple[Any, ...]) -> None:
        word, where, what, source = step
        if word == "list":
            rows = [f(f"{where}/{name}", mtime, size) for name, (size, mtime) in what.items()]
            self.heard.append([*rows, close(where, *what)] if self.agent.is_native else rows)
            self._scan(self.heard[-1], source)
        elif word == "again":
            self._scan(self.heard[-min(where, len(self.heard))] if self.heard else [], source)
        elif word == "end":
            self._send("snapshot", is_end=True)
        elif word == "write":
            self._send("message", self._event("update", [f(where, what[1], what[0])]))
        elif word == "delete":
            self._send("message", self._event("delete", [FsRow(path=where)]))
        elif self.agent.is_native:
            self._send("message", replace_ends(self._event("move", [f(what)]), where, what))

    def _scan(self, rows: list[FsRow], source: str) -> None:
        if source == "snapshot" or not rows:
            self._send("snapshot", *([self._event("update", rows, "snapshot")] if rows else []))
            return
        self.audits += 1
        name, now = f"a{self.audits}", clock.now_ms()
        for tree in self.trees:
            audits.start(tree.pk, self.agent, audit_id=name, started_ms=now, root_id="root", now_ms=now)
        manifest = {"batches": 1, "rows": len(rows), "directories": 1, "errors": 0}
        metadata = {"manifest": manifest, "root_id": "root"}
        self._send("audit", self._event("update", rows, "audit"), is_end=True, audit_id=name, metadata=metadata)

    def _event(self, kind: str, rows: list[FsRow], source: str = "realtime") -> Event:
        return Event(kind, rows, source, "fs", "files", index=clock.now_ms(), observed_at=clock.now_ms())

    def _send(self, kind: str, *events: Event, **fields: Any) -> None:
        body = msgspec.json.encode(Envelope(list(events), kind, **fields))
        plain, digest = decode_envelope(body), self.decode(body)
        self.hits += len(repeats.find(self.trees[1].pk, digest).known)
        outcomes = [
            apply_batch(tree.pk, self.agent, batch, clock.now_ms()) for tree, batch in zip(self.trees, (plain, digest), strict=True)
        ]
        assert replace(outcomes[0], audit=None) == replace(outcomes[1], audit=None)

    def compare(self) -> None:
        plain, digest = map(everything, self.trees)
        assert plain == digest


def replace_ends(event: Event, origin: str, target: str) -> Event:
    return msgspec.structs.replace(event, from_=origin, to=target)


def everything(tree: Tree) -> list[Any]:
    """All that is stored of a tree but ids and digests."""
    told_apart = {"id", "parent_id", "tree_id", "listing_digest", "directory_id", "audit"}
    directories = {row["id"]: row for row in Directory.objects.filter(tree=tree).values()}
    rows: list[dict[str, Any]] = [*directories.values()]
    rows += [row | {"path": directories[row["directory_id"]]["path"]} for row in File.objects.filter(directory__tree=tree).values()]
    for model in (Suspect, BlindSpot, Tombstone, Recheck):
        rows += [row | {"model": model.__name__} for row in model.objects.filter(tree=tree).values()]
    return sorted(str(sorted((key, value) for key, value in row.items() if key not in told_apart)) for row in rows)


@pytest.mark.fuzz
@pytest.mark.django_db
@settings(max_examples=4 * examples(), deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS, st.sampled_from([2, 3]))
def test_what_is_stored_is_the_same_as_if_every_row_were_read(steps: list[tuple[Any, ...]], protocol: int) -> None:
    with clock.use(ManualClock()) as manual:
        assert isinstance(manual, ManualClock)
        twins = Twins(protocol)
        try:
            for step in steps:
                manual.advance(1)
                twins.take(step)
                twins.compare()
        finally:
            twins.close()
