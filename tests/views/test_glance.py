"""Reading an event at a glance, and recognising what a scan repeats, must come to what looking row by row comes to."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.views import glance, intake
from apps.views.claims import Origin
from fustor_schema.wire import Batch, Envelope, Event, FsRow
from tests.views.conftest import Bench, d

NAMES = st.one_of(
    st.text(string.ascii_lowercase + ".", min_size=1, max_size=3),
    st.sampled_from(["", ".", "..", "é", "\ud800", "\udcff", "\U0010ff41", "a\0b", "n" * 256, "ö" * 128, "x/y", "/z"]),
)
PATHS = st.one_of(
    st.builds("/{}/{}".format, st.sampled_from(["a", "b", "a/b", "a//b", ".", "a/.."]), NAMES),
    st.builds("/{}".format, NAMES),
    st.sampled_from(["/", "", "rel", "/" + "d/" * 2100 + "f"]),
    st.none(),
)
NUMBERS = st.one_of(st.none(), st.integers(-1, 3), st.sampled_from([2**31, 2**63 - 1, 2**63, 2**64 - 1]))
TIMES = st.one_of(st.none(), st.floats(), st.just(1.7e9))
ROWS = st.builds(
    FsRow,
    path=PATHS,
    size=st.one_of(st.none(), st.integers(-1, 9), st.just(2**63), st.floats()),
    modified_time=TIMES,
    created_time=TIMES,
    is_directory=st.booleans(),
    kind=st.sampled_from([None, None, "file", "directory", "symlink", "dir_close", "unheard-of"]),
    mode=NUMBERS,
    uid=NUMBERS,
    inode=NUMBERS,
)
GOOD_ROWS = st.builds(
    FsRow,
    path=st.builds("/{}/{}".format, st.sampled_from(["a", "b", "a/b"]), st.text(string.ascii_lowercase, min_size=1, max_size=2)),
    size=st.integers(0, 9),
    modified_time=st.just(1.7e9),
    is_directory=st.booleans(),
)


def read(events: list[Event]) -> tuple[list[tuple[object, ...]], set[str]]:
    """(what is claimed row by row, why rows were rejected) of a batch."""
    found = intake.read(Batch(Envelope(events=events, source_type="snapshot"), []), Origin(session=1), 1_000)
    claimed = [
        (op, directory, name, row.path, row.size, row.inode)
        for op, _, directory, entries, _ in found.claims
        for name, row, _ in entries
    ]
    return claimed, {f"{reject.field}: {reject.reason}" for reject in found.rejects}


def event(rows: list[FsRow]) -> Event:
    return Event("update", rows, "snapshot", "fs", "files", index=1)


def copies(rows: list[FsRow]) -> list[FsRow]:
    """Reading brings sizes and inodes of a row into the store's form, so each reading needs rows of its own."""
    return [FsRow(**{name: getattr(row, name) for name in FsRow.__struct_fields__}) for row in rows]


@given(st.one_of(st.lists(ROWS, min_size=1, max_size=12), st.lists(GOOD_ROWS, min_size=glance.WORTH_A_GLANCE, max_size=20)))
def test_a_glance_comes_to_what_reading_row_by_row_comes_to(rows: list[FsRow]) -> None:
    assert repr(read([event(copies(rows))])) == repr(read([event([row]) for row in copies(rows)]))


def test_plain_rows_are_taken_at_a_glance() -> None:
    rows = [FsRow(path=f"/d/{name}", size=1, modified_time=1.0) for name in "abcdefgh"]
    seen = glance.look([*rows, FsRow(path="/d/sub", size=1, is_directory=True), FsRow(path="/d/sub/x", size=1)])
    assert seen is not None
    assert [(run[0], run[1], len(run[2])) for run in seen.runs] == [(False, "/d", 8), (True, "/d", 1), (False, "/d/sub", 1)]
    assert seen.tells_little
    assert not seen.tells_all


def full(name: str, **given: object) -> FsRow:
    """A file as a native agent tells it."""
    told = {
        "size": 1,
        "modified_time": 5.0,
        "created_time": 5.0,
        "kind": "file",
        "mode": 0o644,
        "uid": 1,
        "gid": 1,
        "inode": 1,
        "nlink": 1,
    }
    return FsRow(path=f"/d/{name}", **(told | given))  # type: ignore[arg-type]  # made of the fields' own values


@pytest.mark.django_db
@pytest.mark.parametrize("tell", [full, lambda name, **given: FsRow(path=f"/d/{name}", size=1, modified_time=5.0, **given)])
def test_what_a_second_snapshot_repeats_is_confirmed_and_the_rest_is_written(bench: Bench, tell: object) -> None:
    assert callable(tell)
    leader = bench.session()
    names = [f"f{number:02d}" for number in range(20)]
    bench.sn(leader, d("/d"), *[tell(name) for name in names], end=True)
    written = {path: file.decided_at for path, file in bench.files().items()}
    bench.clock.advance(60)
    again = bench.sn(leader, d("/d"), *[tell(name) for name in reversed(names)], end=True)
    assert again.applied == 21
    assert {path: file.decided_at for path, file in bench.files().items()} == written
    bench.clock.advance(60)
    bench.sn(leader, d("/d"), *[tell(name, **({"created_time": 9.0} if name == "f07" else {})) for name in names], end=True)
    assert {path for path, file in bench.files().items() if file.decided_at != written[path]} == {"/d/f07"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change", [{"mode": 0o600}, {"uid": 7}, {"gid": 7}, {"inode": 7}, {"nlink": 2}, {"kind": "symlink"}, {"size": 2}]
)
def test_no_column_that_a_native_row_tells_goes_unnoticed(bench: Bench, change: dict[str, object]) -> None:
    leader = bench.session()
    names = [f"f{number:02d}" for number in range(12)]
    bench.sn(leader, d("/d"), *[full(name) for name in names], end=True)
    bench.clock.advance(60)
    before = {path: file.decided_at for path, file in bench.files().items()}
    bench.sn(leader, d("/d"), *[full(name, **(change if name == "f03" else {})) for name in names], end=True)
    assert {path for path, file in bench.files().items() if file.decided_at != before[path]} == {"/d/f03"}


def test_small_events_of_a_native_scan_tell_all_whatever_their_directories_and_ends_tell() -> None:
    close = FsRow(path="/d", kind="dir_close", ok=True, count=2)
    directory = FsRow(path="/d", size=1, modified_time=5.0, is_directory=True, kind="directory")
    events = [event([directory]), event([full("a"), full("b"), close])]
    assert intake.read(Batch(Envelope(events=events), []), Origin(session=1, protocol=3), 1_000).telling is intake.Telling.ALL
    events.append(event([FsRow(path="/d/c", size=1, modified_time=5.0)]))
    assert intake.read(Batch(Envelope(events=events), []), Origin(session=1, protocol=3), 1_000).telling is intake.Telling.MIXED
