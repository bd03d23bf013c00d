"""The parts of the agent that are plain functions of their input."""

import os
from typing import Any

import msgspec
import pytest

from agent_runner import mapping, wire_v2, worker
from agent_runner.batches import BatchSize, Stream
from agent_runner.config import Own, from_yaml, to_yaml
from agent_runner.error_recovery import Recovery
from agent_runner.problems import ConfigProblem
from agent_runner.sources.fs import identity, inotify, settings
from agent_runner.sources.fs.filters import Filters
from agent_runner.sources.fs.inotify import RawEvent
from agent_runner.sources.fs.partial import PartialWrites
from agent_runner.sources.fs.steps import Step, What, plan
from fustor_schema.decoding import decode_envelope
from fustor_schema.wire import Event, FsRow

OWN = Own("host-a", "http://server", "own-key")


def raw(mask: int, name: str = "x", *, wd: int = 1, cookie: int = 0) -> RawEvent:
    return RawEvent(wd, mask, cookie, name.encode(), 0)


def whats(events: list[RawEvent], *, final: bool = True) -> list[tuple[What, str]]:
    return [(step.what, step.event.name.decode()) for step in plan(events, final=final)[0]]


def touched(events: list[RawEvent]) -> Step:
    steps, _ = plan(events, final=True)
    assert len(steps) == 1
    return steps[0]


def test_touches_of_one_file_become_one_step_with_the_last_state() -> None:
    written = touched([raw(inotify.CREATE), raw(inotify.MODIFY), raw(inotify.MODIFY), raw(inotify.CLOSE_WRITE)])
    assert (written.created, written.closed, written.writing) == (True, True, False)
    opened_again = touched([raw(inotify.CREATE), raw(inotify.CLOSE_WRITE), raw(inotify.MODIFY)])
    assert (opened_again.closed, opened_again.writing) == (False, True)
    changed_mode = touched([raw(inotify.MODIFY), raw(inotify.ATTRIB)])
    assert changed_mode.writing


def test_a_delete_between_touches_keeps_them_apart() -> None:
    events = [raw(inotify.CREATE), raw(inotify.DELETE), raw(inotify.CREATE)]
    assert [what for what, _ in whats(events)] == [What.TOUCHED, What.DELETED, What.TOUCHED]


def test_a_move_is_paired_over_events_of_others() -> None:
    events = [raw(inotify.MOVED_FROM, "a", cookie=7), raw(inotify.CREATE, "other"), raw(inotify.MOVED_TO, "b", cookie=7)]
    steps, held = plan(events, final=False)
    assert [(step.what, step.to.name if step.to else None) for step in steps] == [(What.MOVED, b"b"), (What.TOUCHED, None)]
    assert held == []


def test_an_unpaired_move_is_held_and_then_a_delete() -> None:
    events = [raw(inotify.CREATE, "first"), raw(inotify.MOVED_FROM, "a", cookie=7), raw(inotify.CREATE, "a")]
    steps, held = plan(events, final=False)
    assert [step.event.name for step in steps] == [b"first"]
    assert whats(held) == [(What.MOVED_OUT, "a"), (What.TOUCHED, "a")]
    assert whats([*held, raw(inotify.MOVED_TO, "b", cookie=7)])[0] == (What.MOVED, "a")


def test_partial_writes_are_throttled_and_the_last_one_comes_out() -> None:
    writes = PartialWrites(1_000)
    assert [writes.written(b"/f", at) for at in (0, 10, 500, 999, 1_000)] == [True, False, False, False, True]
    assert not writes.written(b"/f", 1_500)
    assert writes.due(1_999) == []
    assert writes.due(2_000) == [b"/f"]
    assert writes.due(9_000) == []
    assert not writes.written(b"/f", 2_100)
    writes.closed(b"/f")
    assert writes.due(9_000) == []


def test_back_off_doubles_to_its_bound_and_alerts_once() -> None:
    alerts: list[int] = []
    recovery = Recovery(first=5, longest=60, alert_after=3, alert=lambda failures, _: alerts.append(failures), jitter=lambda: 1.0)
    assert [recovery.failed(OSError("x")) for _ in range(6)] == [5, 10, 20, 40, 60, 60]
    recovery.succeeded()
    assert recovery.failed(OSError("x")) == 5
    assert alerts == [3]
    assert Recovery(first=5, jitter=lambda: 0.0).failed(OSError("x")) == 2.5


def test_batches_grow_when_answers_are_fast_and_shrink_when_not() -> None:
    size = BatchSize(100, 10, 400)
    for rows, seconds in ((100, 0.1), (200, 0.1), (400, 0.1)):
        size.answered(rows, seconds)
    assert size.rows == 400
    size.answered(10, 0.1)
    size.answered(400, 5.0)
    assert size.rows == 200


def test_a_batch_is_what_the_server_decodes() -> None:
    stream = Stream("s", protocol=3, stream="job", committed=4)
    events = [msgspec.json.encode(Event(event_type="insert", rows=[FsRow(path="/a")]))]
    batch = decode_envelope(stream.batch(events, source_type="snapshot", epoch=2, audit_id="a"))
    assert batch.refused == []
    assert (batch.envelope.seq, batch.envelope.stream, batch.envelope.epoch) == (5, "job", 2)
    assert batch.envelope.events[0].rows[0].path == "/a"
    stream.acknowledged()
    assert decode_envelope(stream.batch([], source_type="snapshot")).envelope.seq == 6


def test_the_fields_mapping_is_a_projection() -> None:
    plain = {"event_type": "update", "rows": [{"path": "/a", "kind": "file"}]}
    encode = mapping.event_encoder(
        [
            {"to": "size", "source": ["fs.files.size:integer"]},
            {"to": "modified_time", "source": ["created_time:number", "modified_time"]},
            {"to": "owner", "hardcoded_value": "lab"},
        ]
    )
    row = FsRow(path="/a", kind="file", size=3, modified_time=9.0, uid=5)
    decoded: dict[str, Any] = msgspec.json.decode(encode(Event(event_type="update", rows=[row])))
    assert decoded["rows"] == [{**plain["rows"][0], "size": 3, "modified_time": 9.0, "owner": "lab"}]  # type: ignore[index]  # a list of rows
    close = FsRow(path="/", kind="dir_close", ok=True, count=1, names_hash="0", scan_start=1)
    assert msgspec.json.decode(encode(Event(event_type="update", rows=[close])))["rows"][0]["names_hash"] == "0"


@pytest.mark.parametrize(
    "wrong",
    [[{"to": "size"}], [{"to": "size", "source": ["nothing"]}], [{"to": "size", "source": ["size:colour"]}]],
)
def test_a_wrong_mapping_is_refused_with_its_field(wrong: list[dict[str, Any]]) -> None:
    with pytest.raises(ConfigProblem, match="size"):
        mapping.compile_projection(wrong)


def test_an_old_server_gets_words_that_it_knows() -> None:
    move = Event(event_type="move", from_="/a", to="/b", rows=[FsRow(path="/b", size=1)], index=1_500, message_source="realtime")
    deleted, inserted = wire_v2.events(move)
    assert (deleted["event_type"], deleted["rows"]) == ("delete", [{"path": "/a"}])
    assert inserted["rows"][0]["file_name"] == "b"
    assert inserted["timestamp"] == 1.5
    assert wire_v2.events(Event(event_type="gap", scope="/")) == []
    close = Event(event_type="update", rows=[FsRow(path="/", kind="dir_close", ok=True)])
    assert wire_v2.events(close) == []


YAML = """
agent_id: host-b
sources: {nas: {driver: fs, uri: /data, driver_params: {exclude: ["*.tmp"]}}}
senders: {main: {driver: http, uri: "http://s:1", credential: {key: secret}}, own: {}}
pipes:
  one: {source: nas, sender: main, audit_interval_sec: 60}
  two: {source: nas, sender: own, server_pipe: lab}
"""


def test_a_yaml_file_is_read_and_written_without_its_keys() -> None:
    config = from_yaml(YAML, OWN)
    assert (config.agent_id, [pipe.id for pipe in config.pipes]) == ("host-b", ["one", "two"])
    assert config.pipes[0].sender.key == "secret"
    assert (config.pipes[1].sender.uri, config.pipes[1].sender.key) == ("http://server", "own-key")
    text = to_yaml(config)
    assert "secret" not in text
    assert "own-key" not in text
    again = from_yaml(text, OWN)
    assert [pipe.source for pipe in again.pipes] == [pipe.source for pipe in config.pipes]
    assert again.pipes[1].server_pipe == "lab"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("pipes: {p: {source: x, sender: y}}", "source 'x'"),
        ("sources: {x: {uri: 1}}", "uri"),
        ("sources: {x: {uri: /d, colour: red}}", "colour"),
        ("{", "YAML"),
    ],
)
def test_a_wrong_yaml_file_names_what_is_wrong(text: str, named: str) -> None:
    with pytest.raises(ConfigProblem, match=named):
        from_yaml(text, OWN)


def test_a_key_can_stand_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "sources: {a: {uri: /d}}\nsenders: {b: {credential: {env: LAB_KEY}}}\npipes: {p: {source: a, sender: b}}"
    with pytest.raises(ConfigProblem, match="LAB_KEY"):
        from_yaml(text, OWN)
    monkeypatch.setenv("LAB_KEY", "from-there")
    assert from_yaml(text, OWN).pipes[0].sender.key == "from-there"


def test_wrong_source_settings_are_refused_with_their_field() -> None:
    with pytest.raises(ConfigProblem, match="scan_processes"):
        settings.parse({"scan_processes": 0})
    with pytest.raises(ConfigProblem, match="root_marker"):
        settings.parse({"root_marker": "maybe"})


def test_filters_see_names_and_paths() -> None:
    filters = Filters(include=["*.dat"], exclude=["*.tmp", "/cache", "/a/*/b"])
    assert filters.keeps(b"/x/y.dat", b"y.dat", is_directory=False)
    assert not filters.keeps(b"/x/y.txt", b"y.txt", is_directory=False)
    assert filters.keeps(b"/x", b"x", is_directory=True)
    assert not filters.keeps(b"/cache", b"cache", is_directory=True)
    assert not filters.keeps(b"/a/1/b", b"b", is_directory=True)
    assert Filters().trivial


def test_the_broker_address_is_spelled_for_celery() -> None:
    assert worker.celery_url("unix:///run/redis.sock") == "redis+socket:///run/redis.sock"
    assert worker.celery_url("redis://h:1/0") == "redis://h:1/0"
    assert worker.queue_name("host-a") == "agent.host-a"


@pytest.mark.parametrize(
    ("options", "seconds"), [(b"rw,acdirmax=5", 5.0), (b"rw,noac", 0.0), (b"rw,actimeo=3", 3.0), (b"rw", 60.0)]
)
def test_the_attribute_cache_of_an_nfs_mount(options: bytes, seconds: float) -> None:
    line = b"36 35 98:0 / /mnt/nas rw,noatime master:1 - nfs4 server:/export " + options
    found = identity.cache_seconds(b"/mnt/nas/data", [b"21 1 8:1 / / rw - ext4 /dev/sda1 rw", line])
    assert found == seconds
    assert identity.cache_seconds(b"/mnt/nasty", [b"21 1 8:1 / / rw - ext4 /dev/sda1 rw", line]) == 0.0


def test_a_marker_is_the_identity_wherever_it_is_mounted(tmp_path: Any) -> None:
    before = identity.read(os.fsencode(tmp_path))
    marked = identity.mark(tmp_path)
    after = identity.read(os.fsencode(tmp_path))
    assert before.startswith("inode:")
    assert after.startswith(f"marker:{marked}:")
    assert identity.mark(tmp_path) == marked
