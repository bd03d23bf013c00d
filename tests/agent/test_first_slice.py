"""The whole agent against a server that only listens: session, snapshot job, realtime, clean end."""

import os
from pathlib import Path

from tests.agent.conftest import MakeAgent
from tests.agent.recording_server import RecordingServer


def walked(tree: Path) -> dict[str, int]:
    """Path → size of everything below the tree, as os.walk sees it; directories count as -1."""
    found = {"/": -1}
    for directory, names, files in os.walk(tree):
        for name in names:
            found["/" + str((Path(directory) / name).relative_to(tree))] = -1
        for name in files:
            path = Path(directory) / name
            found["/" + str(path.relative_to(tree))] = path.lstat().st_size
    return found


def seen(server: RecordingServer) -> dict[str, int]:
    return {path: -1 if row.get("is_directory") else row["size"] for path, row in server.view.items()}


async def test_a_snapshot_job_sends_the_whole_tree_parents_first(server: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    for number in range(40):
        directory = tree / f"d{number % 7}" / f"e{number}"
        directory.mkdir(parents=True)
        (directory / "file").write_text("x" * number)
    job = server.order("snapshot")
    await agent()
    assert (await server.job_ends(job))["state"] == "DONE"
    assert seen(server) == walked(tree)
    known = {"/"}
    for row in server.rows(source="snapshot"):
        assert row["path"] == "/" or os.path.dirname(row["path"]) in known
        known.add(row["path"])
    closes = [row for row in server.rows(source="snapshot") if row.get("kind") == "dir_close"]
    assert sum(row["count"] for row in closes) == len(walked(tree)) - 1
    assert server.batches[-1]["is_end"]


async def test_realtime_follows_the_directory(server: RecordingServer, agent: MakeAgent, tree: Path) -> None:
    process = await agent()
    (tree / "a").mkdir()
    (tree / "a" / "one").write_text("1")
    await server.until(lambda: seen(server).get("/a/one") == 1)
    (tree / "a" / "one").rename(tree / "a" / "two")
    await server.until(lambda: "/a/two" in server.view and "/a/one" not in server.view)
    (tree / "a" / "two").unlink()
    await server.until(lambda: "/a/two" not in server.view)
    assert await process.stop() == 0
    assert len(server.closed) == 1
