"""The engine against a model of the storage, under every interleaving that Hypothesis can think of (I1–I3, I6–I8).

Three hosts write one storage: two run an agent, one is blind. Their events wait in queues and are delivered late, in any order
between sessions, or are lost with a gap. Scans go directory by directory while the storage changes; leaders change; time jumps.
`make fuzz` runs it for as long as FUSTOR_FUZZ_EXAMPLES says.
"""

import os
from collections import deque
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from apps.runtime import clock
from apps.runtime.clock import ManualClock
from apps.runtime.problems import Conflict
from apps.views import presence, services, verify
from apps.views.apply import apply_batch
from apps.views.claims import Origin
from apps.views.models import Audit, Directory, File, View
from fustor_schema import paths
from fustor_schema.listing import names_hash
from fustor_schema.wire import Batch, Envelope, Event, FsRow

DIRECTORIES = ["/a", "/b", "/a/c", "/b/c"]
FILES = [paths.join(parent, name) for parent in ("/", *DIRECTORIES) for name in ("x", "y")]
ANY = st.sampled_from([*DIRECTORIES, *FILES])
WATCHED, BLIND = (0, 1), 2
HOSTS = st.sampled_from([*WATCHED, BLIND])
KINDS = st.sampled_from(["snapshot", "audit"])
MTIMES = st.sampled_from([1.0, 1_000.0, 1_700_000_000.0, 1_749_999_000.0])


@dataclass
class Node:
    """What really is at a path. `size` None: a directory. `made_at`: since when something is there without a break."""

    mtime: float
    size: int | None
    made_at: float


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
    """One batch on its way."""

    envelope: Envelope
    epoch: int


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
        self.storage: dict[str, Node] = {}
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
        above = paths.parent(path)
        if above != "/" and not self._is_directory(above):
            return
        before = self.storage.get(path)
        made_at = before.made_at if before is not None else self.clock.now()
        self.storage[path] = Node(mtime, size, made_at)
        self._tell(host, Event("update", [self._row(path)], "realtime", "fs", "files", observed_at=self._now()))

    @rule(host=HOSTS, path=st.sampled_from(DIRECTORIES))
    def make_directory(self, host: int, path: str) -> None:
        self._pass_a_moment()
        above = paths.parent(path)
        if path in self.storage or (above != "/" and not self._is_directory(above)):
            return
        self.storage[path] = Node(5.0, None, self.clock.now())
        self._tell(host, Event("insert", [self._row(path)], "realtime", "fs", "files", observed_at=self._now()))

    @rule(host=HOSTS, path=ANY)
    def remove(self, host: int, path: str) -> None:
        self._pass_a_moment()
        if path not in self.storage:
            return
        for gone in [known for known in self.storage if paths.is_within(known, path)]:
            del self.storage[gone]
        self._tell(host, Event("delete", [FsRow(path=path)], "realtime", "fs", "files", observed_at=self._now()))

    @rule(host=HOSTS, origin=ANY, to=ANY)
    def rename(self, host: int, origin: str, to: str) -> None:
        self._pass_a_moment()
        target = to
        above = paths.parent(target)
        if origin not in self.storage or target in self.storage or paths.is_within(target, origin):
            return
        if above != "/" and not self._is_directory(above):
            return
        for path in [known for known in self.storage if paths.is_within(known, origin)]:
            node = self.storage.pop(path)
            self.storage[target + path[len(origin) :]] = replace(node, made_at=self.clock.now())
        move = Event("move", [self._row(target)], "realtime", "fs", "files", observed_at=self._now(), from_=origin, to=target)
        self._tell(host, move)

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
        if waiting and not waiting[0].envelope.is_end and waiting[0].envelope.source_type == "snapshot":
            self._deliver_scan(agent, waiting[0])

    # --- scans and leaders -------------------------------------------------------------------------------------------

    @precondition(lambda self: self.scan is None)
    @rule(kind=KINDS)
    def begin_scan(self, kind: str) -> None:
        self.cycles += 1
        audit_id = f"audit-{self.cycles}" if kind == "audit" else ""
        self.scan = Scan(self.leader, audit_id, self.epoch, self.clock.now())

    @precondition(lambda self: self.scan is not None)
    @rule()
    def list_one_directory(self) -> None:
        self._list_one()

    @precondition(lambda self: self.scan is not None)
    @rule()
    def give_up_scan(self) -> None:
        assert self.scan is not None
        self.scan.todo.clear()
        self.scan.batches += 1  # the manifest will not match what was sent
        self._end_scan()

    @precondition(lambda self: self.leader_changes < 3)
    @rule()
    def change_leader(self) -> None:
        self.leader_changes += 1
        self.leader, self.epoch, self.scan = 1 - self.leader, self.epoch + 1, None
        presence.update(self.tree.pk, live_sessions=2, leader_session=self.leader + 1, epoch=self.epoch, now=self.clock.now())

    @precondition(lambda self: self.scan is None)
    @rule(
        kind=st.sampled_from(["snapshot", "audit"]),
        host=st.sampled_from(WATCHED),
        path=st.sampled_from(FILES),
        appears=st.booleans(),
    )
    def change_while_a_scan_is_on_its_way(self, kind: str, host: int, path: str, appears: bool) -> None:
        """What the scan listed is old by the time it arrives: the event came first."""
        self.begin_scan(kind)
        agent = self.leader
        while self.scan is not None:
            self._list_one()
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
            node = self.storage.get(path)
            lives = node is not None and node.made_at <= at + 0.001  # messages carry whole milliseconds
            heard = max((when for gone, when in self.deletes_heard.items() if paths.is_within(path, gone)), default=0.0)
            if lives and heard <= at:
                assert path in view, f"{path} was confirmed at {at} and is absent"

    @initialize()
    def first_snapshot(self) -> None:
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
        self.scan = None
        self.clock.advance(130)
        self.begin_scan("audit")
        self._run_scan()
        last = Audit.objects.filter(tree=self.tree).order_by("-pk").first()
        assert last is not None
        assert last.state == Audit.State.COMPLETE, last.reason
        real = {path: (node.size, node.mtime) for path, node in self.storage.items()}
        assert self._view() == real
        assert verify.verify(self.tree.pk) == []

    def _run_scan(self) -> None:
        agent = self.leader
        while self.scan is not None:
            self._list_one()
        while self.scans[agent]:
            self._deliver_scan(agent, self.scans[agent].popleft())

    def _list_one(self) -> None:
        scan = self.scan
        assert scan is not None
        if scan.todo:
            directory = scan.todo.pop(0)
            if directory == "/" or self._is_directory(directory):
                self._send_listing(scan, directory)
        if not scan.todo:
            self._end_scan()

    def _send_listing(self, scan: Scan, directory: str) -> None:
        children = sorted(path for path in self.storage if paths.parent(path) == directory)
        scan.todo += [path for path in children if self._is_directory(path)]
        close = FsRow(
            path=directory,
            kind="dir_close",
            ok=True,
            count=len(children),
            names_hash=names_hash(paths.name(path).encode() for path in children),
            scan_start=self._now(),
        )
        rows = [*(self._row(path) for path in children), close]
        scan.batches, scan.rows, scan.directories = scan.batches + 1, scan.rows + len(rows), scan.directories + 1
        self._send_scan(scan, rows, is_end=False)

    def _end_scan(self) -> None:
        scan, self.scan = self.scan, None
        assert scan is not None
        scan.batches += 1
        self._send_scan(scan, [], is_end=True)

    def _send_scan(self, scan: Scan, rows: list[FsRow], *, is_end: bool) -> None:
        kind = "audit" if scan.audit_id else "snapshot"
        events = [Event("update", rows, kind, "fs", "files", observed_at=self._now())] if rows else []
        envelope = Envelope(events, kind, is_end=is_end, audit_id=scan.audit_id or None)
        if is_end and scan.audit_id:
            manifest = {"batches": scan.batches, "rows": scan.rows, "directories": scan.directories, "errors": 0}
            envelope.metadata = {"manifest": manifest}
        self.scans[scan.host].append(Message(envelope, scan.epoch))

    def _tell(self, host: int, event: Event) -> None:
        if host in WATCHED:
            self.events[host].append(Message(Envelope([event]), 0))

    def _deliver_event(self, agent: int) -> None:
        message = self.events[agent].popleft()
        self.delivered = True
        apply_batch(self.tree.pk, self.agents[agent], Batch(message.envelope, []), self._now())
        event = message.envelope.events[0]
        at = float(event.observed_at or 0) / 1000
        if event.event_type == "delete":
            self._heard_delete(event.rows[0].path or "", at)
        elif event.event_type == "move":
            self._heard_delete(event.from_ or "", at)
            self._heard_delete(event.to or "", at - 0.001)
            self.confirmed[event.to or ""] = at
        else:
            path = event.rows[0].path or ""
            self.confirmed[path] = max(at, self.confirmed.get(path, 0.0))

    def _heard_delete(self, path: str, at: float) -> None:
        self.deletes_heard[path] = max(at, self.deletes_heard.get(path, 0.0))

    def _deliver_scan(self, agent: int, message: Message) -> None:
        self.delivered = True
        leads = agent == self.leader and message.epoch == self.epoch
        origin = replace(self.agents[agent], is_leader=leads, epoch=self.epoch if leads else 0)
        nodes_before = len(self._view())
        try:
            outcome = apply_batch(self.tree.pk, origin, Batch(message.envelope, []), self._now())
        except Conflict:
            return
        if outcome.audit_state == Audit.State.PARTIAL:  # I6
            assert len(self._view()) == nodes_before

    def _pass_a_moment(self) -> None:
        """No two changes of the storage share a millisecond, so the model can tell which came first."""
        self.clock.advance(0.002)

    def _row(self, path: str) -> FsRow:
        node = self.storage[path]
        return FsRow(path=path, modified_time=node.mtime, size=node.size or 0, is_directory=node.size is None)

    def _is_directory(self, path: str) -> bool:
        return path in self.storage and self.storage[path].size is None

    def _now(self) -> int:
        return clock.now_ms()

    def _view(self) -> dict[str, tuple[int | None, float | None]]:
        rows = Directory.objects.filter(tree=self.tree).values_list("pk", "path", "mtime")
        folders = {pk: path for pk, path, _ in rows}
        found: dict[str, tuple[int | None, float | None]] = {path: (None, mtime) for _, path, mtime in rows if path != "/"}
        files = File.objects.filter(directory__in=folders).values_list("directory", "name", "size", "mtime")
        found.update({paths.join(folders[directory], name): (size, mtime) for directory, name, size, mtime in files})
        return found


def examples() -> int:
    """How many runs: a fixed budget in CI, more under `make fuzz`, as many as you like by FUSTOR_FUZZ_EXAMPLES."""
    budget = "2000" if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else "40"
    return int(os.environ.get("FUSTOR_FUZZ_EXAMPLES", budget))


@pytest.mark.fuzz
@pytest.mark.django_db
@pytest.mark.timeout(0)
def test_s072_the_engine_converges_whatever_happens() -> None:
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(
            max_examples=examples(),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
