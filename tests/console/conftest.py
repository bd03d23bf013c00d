"""A small fleet in the database, built through the ORM, for the tests of the console."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from apps.pipes.keys import create_key
from apps.pipes.models import Agent, ApiKey, KeyKind, Pipe, Receiver
from apps.runtime import clock
from apps.sessions.models import Job, Leadership, LeadershipChange, Session
from apps.views.models import BlindSpot, Directory, File, Flag, Suspect, Tree, View
from fustor_schema.pipestate import PipeState

PASSWORD = "a long enough password"


@dataclass
class Fleet:
    """What `build_fleet` made."""

    view: View
    tree: Tree
    pipe: Pipe
    leader: Session
    follower: Session
    running: Job
    failed: Job


def build_fleet(slug: str = "archive", files: int = 30) -> Fleet:
    """One receiver, pipe and view with two sessions, two jobs and a tree of `files` files."""
    now = clock.now_datetime()
    view = View.objects.create(slug=slug, name="Archive of uploads")
    receiver = Receiver.objects.create(slug=f"{slug}-in")
    pipe = Pipe.objects.create(slug=f"{slug}-pipe", receiver=receiver, name="Uploads of the lab")
    pipe.views.add(view)
    Agent.objects.create(slug=f"{slug}-host-1", hostname="host-1", last_seen_at=now)
    key, _ = create_key(kind=KeyKind.RECEIVER, receiver=receiver, pipes=[pipe])
    running_state = PipeState.RUNNING | PipeState.MESSAGE | PipeState.AUDIT
    leader = _session(pipe, key, f"{slug}-host-1:uploads", running_state, rows=12_400)
    follower = _session(pipe, key, f"{slug}-host-2:uploads", PipeState.RUNNING | PipeState.MESSAGE, rows=220)
    tree = _tree(view, leader, files)
    Leadership.objects.create(tree=tree, session=leader, epoch=3, since=now)
    for epoch, (task, cause) in enumerate((("", "expired"), (follower.task_id, "opened"), (leader.task_id, "closed")), 1):
        at = now - timedelta(minutes=10 - epoch)
        LeadershipChange.objects.create(tree=tree, epoch=epoch, task_id=task, cause=cause, at=at)
    running = _job(
        pipe, tree, leader, Job.State.RUNNING, {"found": 4120, "per_second": 830.0, "depth": 4, "directory": "/runs/2026"}
    )
    failed = _job(pipe, tree, leader, Job.State.FAILED, {}, error="The worker did not answer within its lease, twice.")
    return Fleet(view, tree, pipe, leader, follower, running, failed)


def _session(pipe: Pipe, key: ApiKey, task_id: str, state: PipeState, rows: int) -> Session:
    now = clock.now_datetime()
    return Session.objects.create(
        pipe=pipe,
        key=key,
        task_id=task_id,
        agent_name=task_id.partition(":")[0],
        timeout_seconds=30,
        created_at=now - timedelta(hours=3),
        last_active_at=now,
        silent_after=now + timedelta(hours=1),
        state=int(state),
        rows=rows,
        events=rows // 10,
        can_realtime=True,
        client_info={"source_uri": "/mnt/uploads"},
    )


def _job(pipe: Pipe, tree: Tree, session: Session, state: str, progress: dict[str, Any], error: str = "") -> Job:
    now = clock.now_datetime()
    ended = None if state == Job.State.RUNNING else now
    return Job.objects.create(
        kind=Job.Kind.AUDIT,
        state=state,
        trigger=Job.Trigger.SCHEDULE,
        pipe=pipe,
        tree=tree,
        session=session,
        progress=progress,
        error=error,
        created_at=now - timedelta(seconds=40),
        started_at=now - timedelta(seconds=35),
        lease_until=None if ended else now + timedelta(hours=1),
        deadline=None if ended else now + timedelta(hours=1),
        finished_at=ended,
        log_tail="listed /runs\nlisted /runs/2026" if progress else "",
    )


def _tree(view: View, leader: Session, files: int) -> Tree:
    now = clock.now()
    tree = Tree.objects.create(
        view=view,
        scope="",
        epoch=3,
        leader_session=leader.number,
        live_sessions=2,
        snapshot_complete_at=now - 9000,
        last_snapshot_at=now - 9000,
        last_audit_finished_at=now - 400,
        audit_cycle_count=12,
        last_event_at=now - 2,
        last_event_latency_ms=84.0,
        change_seq=1,
        tombstone_count=3,
    )
    root = Directory.objects.create(tree=tree, path="/", name="", total_files=files, total_directories=2, total_bytes=files * 1500)
    runs = Directory.objects.create(
        tree=tree, parent=root, path="/runs", name="runs", total_files=files, total_bytes=files * 1500, mtime=now - 60
    )
    Directory.objects.create(tree=tree, parent=root, path="/inbox", name="inbox", mtime=now - 6000)
    for number in range(files):
        flags = Flag.SUSPECT if number == 0 else Flag.BLIND if number == 1 else Flag.NONE
        name, mtime = f"sample-{number:04}.bam", now - number * 60
        File.objects.create(
            directory=runs, name=name, size=number * 1000, mtime=mtime, flags=int(flags), decided_at=int(now * 1000)
        )
    Suspect.objects.create(tree=tree, path="/runs/sample-0000.bam", since=now - 4, until=now + 20)
    BlindSpot.objects.create(tree=tree, path="/runs/sample-0001.bam", change="added", detected_at=now - 400)
    return tree


@pytest.fixture
def fleet(db: None) -> Fleet:
    """The fleet, in the test's database."""
    return build_fleet()


@pytest.fixture
def reader(db: None, client: Client) -> Client:
    """A browser that is logged in."""
    client.force_login(get_user_model().objects.create_user("reader", password=PASSWORD))
    return client


def parts_of(response: Any) -> dict[str, str]:
    """The parts of an answer to a page that polls."""
    parts: dict[str, str] = json.loads(response.content)["parts"]
    return parts
