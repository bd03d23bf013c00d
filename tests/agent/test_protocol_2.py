"""The agent in front of a server of protocol 2: it schedules its own phases and speaks in the words of that protocol."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.agent.conftest import MakeAgent
from tests.agent.recording_server import RecordingServer
from tests.agent.walk import age, grow, seen, walked


@pytest.fixture
async def recorder() -> AsyncIterator[RecordingServer]:
    recording = await RecordingServer(protocol=2).start()
    yield recording
    await recording.stop()


async def test_the_leader_snapshots_audits_and_follows(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    grow(tree)
    age(tree)
    await agent()
    await recorder.until(lambda: any(batch["is_end"] and batch["source_type"] == "snapshot" for batch in recorder.batches))
    assert seen(recorder.view) == walked(tree)
    (tree / "d1").rename(tree / "moved")
    (tree / "new").write_text("x")
    await recorder.until(lambda: "/new" in recorder.view and "/d1" not in recorder.view)
    await recorder.until(lambda: any(batch["is_end"] and batch["source_type"] == "audit" for batch in recorder.batches))
    events = recorder.events()
    assert {event["event_type"] for event in events} <= {"insert", "update", "delete"}
    assert all("seq" not in batch for batch in recorder.batches)
    assert not [row for row in recorder.rows() if row.get("kind") == "dir_close"]
    assert all(row["file_name"] == row["path"].rpartition("/")[2] for row in recorder.rows(source="snapshot"))


async def test_a_follower_is_not_asked_for_a_snapshot(recorder: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    recorder.role = "follower"
    grow(tree)
    await agent()
    (tree / "new").write_text("x")
    await recorder.until(lambda: "/new" in recorder.view)
    await recorder.until(lambda: len(recorder.heartbeats) > 3)
    assert {batch["source_type"] for batch in recorder.batches} == {"message"}
