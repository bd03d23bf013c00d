"""Ground of the engine's tests: a view with its tree, an injected clock, and short words for the messages of an agent."""

import itertools
from collections.abc import Iterator

import msgspec
import pytest

from apps.runtime import clock
from apps.runtime.clock import ManualClock
from apps.views import audits, services
from apps.views.apply import apply_batch
from apps.views.claims import Origin
from apps.views.models import Audit, Directory, File, OwnerTotal, Tree, View
from apps.views.outcome import Outcome
from fustor_schema import paths
from fustor_schema.decoding import decode_scan
from fustor_schema.wire import Batch, Envelope, Event, FsRow


def f(path: str, mtime: float = 100.0, size: int = 1, **fields: object) -> FsRow:
    """A file's row."""
    return FsRow(path=path, modified_time=mtime, size=size, **fields)


def d(path: str, mtime: float = 100.0, **fields: object) -> FsRow:
    """A directory's row."""
    return FsRow(path=path, modified_time=mtime, size=4096, is_directory=True, **fields)


_SOURCE_TYPE = {"realtime": "message", "snapshot": "snapshot", "audit": "audit", "on_demand_job": "on_demand_job"}


def over_the_wire(sent: Envelope, origin: Origin) -> Batch:
    """What the server reads of what an agent sends: whole listings of native agents stay packed."""
    return decode_scan(msgspec.json.encode(sent)) if origin.is_native else Batch(sent, [])


class Bench:
    """One tree under test; time stands still until it is moved."""

    def __init__(self, manual: ManualClock, view: View) -> None:
        self.clock, self.view = manual, view
        self.tree = services.ensure_tree(view)
        self.sessions = itertools.count(1)

    def session(self, *, leader: bool = True, protocol: int = 2, error_ms: float = 0) -> Origin:
        return Origin(session=next(self.sessions), protocol=protocol, is_leader=leader, clock_error_ms=error_ms)

    @property
    def now_ms(self) -> int:
        return clock.now_ms()

    def push(
        self,
        origin: Origin,
        source: str,
        rows: list[FsRow],
        *,
        kind: str = "update",
        at: float = 0.0,
        end: bool = False,
        **envelope: object,
    ) -> Outcome:
        """Deliver rows observed `at` seconds from now (negative: earlier)."""
        when = self.now_ms + int(at * 1000)
        event = Event(
            event_type=kind, rows=rows, message_source=source, event_schema="fs", table="files", index=when, observed_at=when
        )
        return self.deliver(origin, source, [event] if rows else [], end=end, **envelope)

    def deliver(self, origin: Origin, source: str, events: list[Event], *, end: bool = False, **envelope: object) -> Outcome:
        sent = Envelope(events=events, source_type=_SOURCE_TYPE[source], is_end=end, **envelope)
        return apply_batch(self.tree.pk, origin, over_the_wire(sent, origin), self.now_ms)

    def rt(self, origin: Origin, *rows: FsRow, at: float = 0.0) -> Outcome:
        return self.push(origin, "realtime", list(rows), at=at)

    def rm(self, origin: Origin, *gone: str, at: float = 0.0, source: str = "realtime") -> Outcome:
        return self.push(origin, source, [FsRow(path=path) for path in gone], kind="delete", at=at)

    def sn(self, origin: Origin, *rows: FsRow, at: float = 0.0, end: bool = False) -> Outcome:
        return self.push(origin, "snapshot", list(rows), at=at, end=end)

    def au(self, origin: Origin, *rows: FsRow, at: float = 0.0) -> Outcome:
        return self.push(origin, "audit", list(rows), at=at)

    def audit_start(self, origin: Origin) -> Audit | None:
        return audits.start(self.tree.pk, origin, audit_id=None, started_ms=self.now_ms, root_id=None, now_ms=self.now_ms)

    def audit_end(self, origin: Origin) -> Audit | None:
        return audits.end(self.tree.pk, origin, audit_id=None, manifest=None, root_id=None, now_ms=self.now_ms)

    def audit(self, origin: Origin, *rows: FsRow, at: float = 0.0) -> Audit | None:
        self.audit_start(origin)
        self.au(origin, *rows, at=at)
        return self.audit_end(origin)

    def files(self) -> dict[str, File]:
        stored = File.objects.filter(directory__tree=self.tree).select_related("directory")
        return {paths.join(file.directory.path, file.name): file for file in stored}

    def directories(self) -> dict[str, Directory]:
        return {folder.path: folder for folder in Directory.objects.filter(tree=self.tree)}

    def names(self) -> set[str]:
        """Every path but the root."""
        return (set(self.files()) | set(self.directories())) - {"/"}

    def totals(self, path: str) -> tuple[int, int, int, float | None]:
        """Files, directories, bytes, newest mtime below a directory."""
        folder = self.directories()[path]
        return folder.total_files, folder.total_directories, folder.total_bytes, folder.newest_mtime

    def owners(self, path: str) -> dict[int, tuple[int, int]]:
        """uid → files and bytes below a directory."""
        totals = OwnerTotal.objects.filter(directory__tree=self.tree, directory__path=path)
        return {total.uid: (total.files, total.bytes) for total in totals}

    def fresh_tree(self) -> Tree:
        return Tree.objects.get(pk=self.tree.pk)


@pytest.fixture
def manual() -> Iterator[ManualClock]:
    with clock.use(ManualClock()) as manual:
        assert isinstance(manual, ManualClock)
        yield manual


@pytest.fixture
def bench(db: None, manual: ManualClock) -> Bench:
    bench = Bench(manual, View.objects.create(slug="v"))
    manual.advance(3600)
    return bench
