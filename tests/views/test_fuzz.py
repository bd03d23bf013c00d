"""The engine against a model of the storage, under every interleaving that Hypothesis can think of (I1–I3, I6–I8).

Three hosts write one storage: two run an agent (one of them may speak protocol 2), one is blind. Their events wait in queues and
are delivered late, in any order between sessions, or are lost. Scans go directory by directory, through caches that may be a
minute old, while the storage changes; leaders change; time jumps; housekeeping runs. `make fuzz` runs it for as long as
FUSTOR_FUZZ_EXAMPLES says.
"""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from apps.runtime import clock
from apps.runtime.clock import ManualClock
from apps.runtime.problems import Conflict
from apps.views import audits, blind_spots, housekeeping, presence, services, verify
from apps.views.apply import apply_batch
from apps.views.claims import Origin
from apps.views.models import Audit, Directory, File, View
from fustor_schema import paths
from fustor_schema.listing import names_hash
from fustor_schema.wire import Batch, Envelope, Event, FsRow
from tests.views.conftest import over_the_wire
from tests.views.fuzz_storage import DIRECTORIES, FILES, Storage, row_of

ANY = st.sampled_from([*DIRECTORIES, *FILES])
WATCHED, BLIND = (0, 1), 2
HOSTS = st.sampled_from([*WATCHED, BLIND])
# how old what a scan sees may be: less than the view's attr_cache_bound, as NFS promises (R13)
AGES = st.sampled_from([0.0, 0.0, 10.0, 59.0])
KINDS = st.sampled_from(["snapshot", "audit"])
MTIMES = st.sampled_from([1.0, 1_000.0, 1_700_000_000.0, 1_749_999_000.0])


@dataclass
class Scan:
    """A scan under way: which directories it still has to list, and what its batches counted."""

    host: int
    audit_id: str
    epoch: int
    started: float
    todo: list[str] = field(default_factory=lambda: ["/"])
    batches: int = 0
    rows: int = 0
    directories: int = 0


@dataclass
class Message:
    """One batch on its way, or the word of an old client that its audit starts or ends."""

    envelope: Envelope
    epoch: int
    word: str = ""


class EngineMachine(RuleBasedStateMachine):
    """The engine and the storage, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self._using = clock.use(self.clock)
        self._using.__enter__()
        View.objects.filter(slug="fuzz").delete()
        self.view = View.objects.create(slug="fuzz", brake_rows=10_000)
        self.tree = services.ensure_tree(self.view)
        self.storage = Storage()
        self.agents = [Origin(session=number + 1, protocol=3) for number in WATCHED]
        self.events: list[deque[Message]] = [deque(), deque()]
        self.scans: list[deque[Message]] = [deque(), deque()]
        self.leader, self.epoch = 0, 1
        self.scan: Scan | None = None
        self.confirmed: dict[str, float] = {}
        self.deletes_heard: dict[str, float] = {}
        self.cycles = 0
        self.leader_changes = 0
        self.delivered = False
        presence.update(self.tree.pk, live_sessions=2, leader_session=1, epoch=1, now=self.clock.now())

    def teardown(self) -> None:
        """Come to rest: the view must be the storage (I1)."""
        try:
            self.come_to_rest()
        finally:
            services.drop_view_trees(self.view)
            self.view.delete()
            self._using.__exit__(None, None, None)

    # --- the storage -------------------------------------------------------------------------------------------------

    @rule(host=HOSTS, path=st.sampled_from(FILES), mtime=MTIMES, size=st.integers(0, 3))
    def write(self, host: int, path: str, mtime: float, size: int) -> None:
        self._pass_a_moment()
        if self.storage.write(host, path, mtime, size):
            self._tell(host, "update", [self.storage.row(path)])

    @rule(host=HOSTS, path=st.sampled_from(DIRECTORIES))
    def make_directory(self, host: int, path: str) -> None:
        self._pass_a_moment()
        if self.storage.write(host, path, 5.0, None):
            self._tell(host, "insert", [self.storage.row(path)])

    @rule(host=HOSTS, path=ANY)
    def remove(self, host: int, path: str) -> None:
        self._pass_a_moment()
        if self.storage.remove(host, path):
            self._tell(host, "delete", [FsRow(path=path)])

    @rule(host=HOSTS, origin=ANY, to=ANY)
    def rename(self, host: int, origin: str, to: str) -> None:
        self._pass_a_moment()
        if not self.storage.rename(host, origin, to):
            return
        if self._is_old(host):
            self._tell(host, "delete", [FsRow(path=origin)])
            self._tell(host, "insert", [self.storage.row(path) for path in self.storage.below(to)])
        else:
            self._tell(host, "move", [self.storage.row(to)], from_=origin, to=to)

    @rule(seconds=st.sampled_from([0.01, 0.5, 5.0, 59.0, 61.0, 400.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    # --- the way of messages -----------------------------------------------------------------------------------------

    @rule(agent=st.sampled_from(WATCHED))
    def deliver_event(self, agent: int) -> None:
        if self.events[agent]:
            self._deliver_event(agent)

    @rule(agent=st.sampled_from(WATCHED))
    def lose_event(self, agent: int) -> None:
        if self.events[agent]:
            self.events[agent].popleft()

    @rule(agent=st.sampled_from(WATCHED))
    def deliver_scan(self, agent: int) -> None:
        if self.scans[agent]:
            self._deliver_scan(agent, self.scans[agent].popleft())

    @rule(agent=st.sampled_from(WATCHED))
    def deliver_scan_twice(self, agent: int) -> None:
        waiting = self.scans[agent]
        if waiting and not waiting[0].envelope.is_end and not waiting[0].word and waiting[0].envelope.source_type == "snapshot":
            self._deliver_scan(agent, waiting[0])

    # --- scans and leaders -------------------------------------------------------------------------------------------

    @precondition(lambda self: self.scan is None)
    @rule(kind=KINDS)
    def begin_scan(self, kind: str) -> None:
        self.cycles += 1
        audit_id = f"audit-{self.cycles}" if kind == "audit" else ""
        self.scan = Scan(self.leader, audit_id, self.epoch, self.clock.now())
        if audit_id and self._is_old(self.leader):
            self._send_word("start", self.scan)

    @precondition(lambda self: self.scan is not None)
    @rule(age=AGES, parts=st.sampled_from([1, 1, 2]))
    def list_one_directory(self, age: float, parts: int) -> None:
        self._list_one(age, parts)

    @precondition(lambda self: self.scan is not None)
    @rule()
    def give_up_scan(self) -> None:
        scan = self.scan
        assert scan is not None
        if self._is_old(scan.host):
            self.scan = None  # nothing more is heard of it; the next one goes on under the same name
            return
        scan.todo.clear()
        scan.batches += 1  # the manifest will not match what was sent
        self._end_scan()

    @precondition(lambda self: self.leader_changes < 3)
    @rule()
    def change_leader(self) -> None:
        self.leader_changes += 1
        self._lead(1 - self.leader)

    def _lead(self, agent: int) -> None:
        self.leader, self.epoch, self.scan = agent, self.epoch + 1, None
        presence.update(self.tree.pk, live_sessions=2, leader_session=agent + 1, epoch=self.epoch, now=self.clock.now())

    @rule()
    def keep_house(self) -> None:
        """What the timers do. Tombstones outlive whatever is still on its way: sessions end long before the floor."""
        now = self.clock.now()
        housekeeping.expire_suspects(now)
        housekeeping.trim(now)
        if self.scan is None and not any(self.events) and not any(self.scans):
            housekeeping.collect_tombstones(now)
        self.delivered = True

    @precondition(lambda self: self.scan is None)
    @rule(
        kind=st.sampled_from(["snapshot", "audit"]),
        host=st.sampled_from(WATCHED),
        path=st.sampled_from(FILES),
        appears=st.booleans(),
        age=AGES,
    )
    def change_while_a_scan_is_on_its_way(self, kind: str, host: int, path: str, appears: bool, age: float) -> None:
        """What the scan listed is old by the time it arrives: the event came first."""
        self.begin_scan(kind)
        agent = self.leader
        while self.scan is not None:
            self._list_one(age)
        self.clock.advance(0.1)
        if appears:
            self.write(host=host, path=path, mtime=1.0, size=1)
        else:
            self.remove(host=host, path=path)
        while self.events[host]:
            self._deliver_event(host)
        while self.scans[agent]:
            self._deliver_scan(agent, self.scans[agent].popleft())

    # --- what must always be true ------------------------------------------------------------------------------------

    @invariant()
    def derived_is_what_is_recomputed(self) -> None:
        """I7 and I8, and no damage in the tree."""
        if not self.delivered:
            return
        self.delivered = False
        assert verify.verify(self.tree.pk) == []

    @invariant()
    def a_confirmed_live_file_is_there(self) -> None:
        """I2: what lives since before it was confirmed, and of which no later delete was heard, is not absent."""
        view = self._view()
        for path, at in self.confirmed.items():
            node = self.storage.nodes.get(path)
            lives = node is not None and node.made_at <= at + 0.001  # messages carry whole milliseconds
            heard = max((when for gone, when in self.deletes_heard.items() if paths.is_within(path, gone)), default=0.0)
            if lives and heard <= at:
                assert path in view, f"{path} was confirmed at {at} and is absent"

    @initialize(old=st.sampled_from([None, *WATCHED]))
    def first_snapshot(self, old: int | None) -> None:
        if old is not None:
            self.agents[old] = replace(self.agents[old], protocol=2)
        self.begin_scan("snapshot")
        self._run_scan()

    # --- the machinery -----------------------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """Deliver everything, be quiet for longer than any cache, look at everything once: then the view is the storage."""
        for agent in WATCHED:
            while self.events[agent]:
                self._deliver_event(agent)
            while self.scans[agent]:
                self._deliver_scan(agent, self.scans[agent].popleft())
        self.clock.advance(130)
        # of an old client's childless directories only a further scan tells, so a native agent has the last word
        self._lead(next(agent for agent in WATCHED if not self._is_old(agent)))
        self.begin_scan("audit")
        self._run_scan()
        last = Audit.objects.filter(tree=self.tree).order_by("-pk").first()
        assert last is not None
        assert last.state == Audit.State.COMPLETE, last.reason
        real = {path: (node.size, node.mtime) for path, node in self.storage.nodes.items()}
        assert self._view() == real
        assert verify.verify(self.tree.pk) == []

    def _run_scan(self) -> None:
        agent = self.leader
        while self.scan is not None:
            self._list_one()
        while self.scans[agent]:
            self._deliver_scan(agent, self.scans[agent].popleft())

    def _list_one(self, age: float = 0.0, parts: int = 1) -> None:
        scan = self.scan
        assert scan is not None
        if scan.todo:
            directory = scan.todo.pop(0)
            if self.storage.has_directory(directory):
                self._send_listing(scan, directory, age, parts)
        if not scan.todo:
            self._end_scan()

    def _send_listing(self, scan: Scan, directory: str, age: float, parts: int) -> None:
        children = self.storage.listed(scan.host, directory, age)
        scan.todo += [path for path, node in children.items() if node.is_directory]
        rows = [row_of(path, node) for path, node in children.items()]
        if self._is_old(scan.host):
            own = self.storage.row(directory) if directory != paths.ROOT else FsRow(path=paths.ROOT, is_directory=True)
            rows.insert(0, own)
        else:
            close = FsRow(path=directory, kind="dir_close", ok=True, count=len(children), scan_start=self._now())
            close.names_hash = names_hash(paths.name(path).encode() for path in children)
            rows.append(close)
        scan.rows, scan.directories = scan.rows + len(rows), scan.directories + 1
        for part in _split(rows, parts):
            scan.batches += 1
            self._send_scan(scan, part, is_end=False)

    def _end_scan(self) -> None:
        scan, self.scan = self.scan, None
        assert scan is not None
        scan.batches += 1
        if scan.audit_id and self._is_old(scan.host):
            self._send_word("end", scan)
        else:
            self._send_scan(scan, [], is_end=True)

    def _send_word(self, word: str, scan: Scan) -> None:
        self.scans[scan.host].append(Message(Envelope([]), scan.epoch, word))

    def _send_scan(self, scan: Scan, rows: list[FsRow], *, is_end: bool) -> None:
        kind = "audit" if scan.audit_id else "snapshot"
        events = [self._event(scan.host, "update", rows, kind)] if rows else []
        old = self._is_old(scan.host)
        envelope = Envelope(events, kind, is_end=is_end, audit_id=None if old else scan.audit_id or None)
        if is_end and scan.audit_id:
            manifest = {"batches": scan.batches, "rows": scan.rows, "directories": scan.directories, "errors": 0}
            envelope.metadata = {"manifest": manifest, "root_id": "the-only-one"}
        self.scans[scan.host].append(Message(envelope, scan.epoch))

    def _tell(self, host: int, kind: str, rows: list[FsRow], *, from_: str | None = None, to: str | None = None) -> None:
        if host in WATCHED:
            event = self._event(host, kind, rows, "realtime", from_=from_, to=to)
            self.events[host].append(Message(Envelope([event]), 0))

    def _event(
        self, host: int, kind: str, rows: list[FsRow], source: str, *, from_: str | None = None, to: str | None = None
    ) -> Event:
        """An event of now; an old client says so in its index only."""
        observed_at = None if self._is_old(host) else self._now()
        return Event(kind, rows, source, "fs", "files", index=self._now(), observed_at=observed_at, from_=from_, to=to)

    def _is_old(self, host: int) -> bool:
        return host in WATCHED and not self.agents[host].is_native

    def _deliver_event(self, agent: int) -> None:
        message = self.events[agent].popleft()
        self.delivered = True
        apply_batch(self.tree.pk, self.agents[agent], Batch(message.envelope, []), self._now())
        event = message.envelope.events[0]
        at = float(event.index or 0) / 1000
        if event.event_type == "delete":
            self._heard_delete(event.rows[0].path or "", at)
        elif event.event_type == "move":
            self._heard_delete(event.from_ or "", at)
            self._heard_delete(event.to or "", at - 0.001)
            self.confirmed[event.to or ""] = at
        else:
            for row in event.rows:
                self.confirmed[row.path or ""] = max(at, self.confirmed.get(row.path or "", 0.0))

    def _heard_delete(self, path: str, at: float) -> None:
        self.deletes_heard[path] = max(at, self.deletes_heard.get(path, 0.0))

    def _deliver_scan(self, agent: int, message: Message) -> None:
        self.delivered = True
        leads = agent == self.leader and message.epoch == self.epoch
        origin = replace(self.agents[agent], is_leader=leads, epoch=self.epoch if leads else 0)
        if message.word:
            self._deliver_word(origin, message.word)
            return
        nodes_before = len(self._view())
        try:
            outcome = apply_batch(self.tree.pk, origin, over_the_wire(message.envelope, origin), self._now())
        except Conflict:
            return
        if outcome.audit_state == Audit.State.PARTIAL:  # I6
            assert len(self._view()) == nodes_before

    def _deliver_word(self, origin: Origin, word: str) -> None:
        now_ms = self._now()
        if word == "start":
            audits.start(self.tree.pk, origin, audit_id=None, started_ms=now_ms, root_id=None, now_ms=now_ms)
        else:
            audits.end(self.tree.pk, origin, audit_id=None, manifest=None, root_id=None, now_ms=now_ms)

    def _pass_a_moment(self) -> None:
        """No two changes of the storage share a millisecond, so the model can tell which came first."""
        self.clock.advance(0.002)

    def _now(self) -> int:
        return clock.now_ms()

    def _view(self) -> dict[str, tuple[int | None, float | None]]:
        rows = Directory.objects.filter(tree=self.tree).values_list("pk", "path", "mtime")
        folders = {pk: path for pk, path, _ in rows}
        found: dict[str, tuple[int | None, float | None]] = {path: (None, mtime) for _, path, mtime in rows if path != "/"}
        files = File.objects.filter(directory__in=folders).values_list("directory", "name", "size", "mtime")
        found.update({paths.join(folders[directory], name): (size, mtime) for directory, name, size, mtime in files})
        return found


def _split(rows: list[FsRow], parts: int) -> Iterator[list[FsRow]]:
    """The rows in at most so many batches."""
    size = max(1, -(-len(rows) // parts))
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def examples() -> int:
    """How many runs: a fixed budget in CI, more under `make fuzz`, as many as you like by FUSTOR_FUZZ_EXAMPLES."""
    budget = "2000" if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else "40"
    return int(os.environ.get("FUSTOR_FUZZ_EXAMPLES", budget))


@pytest.mark.fuzz
@pytest.mark.django_db
@pytest.mark.timeout(0)
def test_s072_the_engine_converges_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blind_spots, "MOST_OPEN", 3)
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(
            max_examples=examples(),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
