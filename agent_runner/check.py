"""Would it work here? `fustor-agent check` and `scan --echo` on the host, and the same check ordered from a form of the console."""

import asyncio
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from agent_runner.asking import Asking
from agent_runner.config import AgentConfig, PipeConfig, SenderConfig, SourceConfig
from agent_runner.drivers import Lease
from agent_runner.jobs import exit_code, run_unleased
from agent_runner.phases.scan import JobContext
from agent_runner.problems import AgentProblem
from agent_runner.senders.http import HttpSender
from agent_runner.sources.fs import identity, inotify, settings
from agent_runner.sources.fs.watching import RESERVED_WATCHES

COUNT_SECONDS = 10.0
ANSWER_SECONDS = 5.0
SKEW_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `fix` says what to do when it is not good; `about` is agent, key, clock, path or watches."""

    what: str
    good: bool
    fix: str = ""
    about: str = "agent"

    def __str__(self) -> str:
        mark = "ok  " if self.good else "FAIL"
        return f"{mark} {self.what}" + (f"\n     → {self.fix}" if not self.good and self.fix else "")


def run(config: AgentConfig) -> int:
    """Checks everything that the configuration needs and prints the findings. Returns 0 when all are good."""
    found = asyncio.run(findings(config))
    for finding in found:
        print(finding)
    return 0 if all(finding.good for finding in found) else 1


async def findings(config: AgentConfig) -> list[Finding]:
    """Everything that the configuration needs, looked at. Nothing is started and nothing is changed."""
    found = [Finding(f"agent id is {config.agent_id}", good=True)]
    if not config.pipes:
        found.append(Finding("no pipe is configured yet", False, "Configure one in the console under Agents, or give --watch DIR."))
    for pipe in config.pipes:
        found += [finding async for finding in _check_server(pipe)]
        if pipe.source.driver == "fs":
            found += await _check_storage(pipe)
    return found


async def _check_storage(pipe: PipeConfig) -> list[Finding]:
    """Storage that hangs is a finding too; it costs a thread and no more."""
    try:
        return await Asking(partial(_check_tree, pipe)).ask(COUNT_SECONDS + ANSWER_SECONDS)
    except TimeoutError:
        fix = "Look at the mount: a server that is away blocks whoever asks."
        return [Finding(f"{pipe.id}: {pipe.source.uri} does not answer", False, fix, "path")]


async def _check_server(pipe: PipeConfig) -> AsyncIterator[Finding]:
    if pipe.sender.driver != "http":
        return
    sender = HttpSender(pipe.sender)
    asked = time.time()
    try:
        answer = await sender.whoami()
    except AgentProblem as problem:
        yield Finding(f"{pipe.id}: {problem}", False, problem.fix, "key")
        return
    finally:
        await sender.close()
    yield Finding(
        f"{pipe.id}: {pipe.sender.uri} answers, the key is good for pipe {answer.get('pipe_id', '?')}", good=True, about="key"
    )
    if answer.get("server_time"):
        offset = float(answer["server_time"]) - (asked + time.time()) / 2
        fix = "Run NTP here or there. The agent works all the same: nothing is ordered by this clock."
        yield Finding(f"{pipe.id}: the clocks differ by {offset:+.1f} s", abs(offset) < SKEW_SECONDS, fix, "clock")


def _check_tree(pipe: PipeConfig) -> list[Finding]:
    root = os.fsencode(os.path.realpath(pipe.source.uri))
    try:
        limits = settings.parse(pipe.source.settings)
        root_id = identity.read(root, marker=limits.root_marker)
        readable = os.access(root, os.R_OK | os.X_OK)
    except AgentProblem as problem:
        return [Finding(f"{pipe.id}: {problem}", False, problem.fix, "path")]
    found = [Finding(f"{pipe.id}: {pipe.source.uri} is there ({root_id})", good=True, about="path")]
    fix = f"Let user {os.geteuid()} read and enter it."
    found.append(Finding(f"{pipe.id}: {pipe.source.uri} can be read", readable, fix, "path"))
    if sys.platform == "linux":
        directories, complete = _count_directories(root)
        allowed = max(0, inotify.limit("max_user_watches") - RESERVED_WATCHES)
        found.append(watches_finding(pipe.id, directories, complete=complete, allowed=allowed))
    return found


def watches_finding(pipe_id: str, directories: int, *, complete: bool, allowed: int) -> Finding:
    """Whether the watches that the kernel allows suffice. `complete`: the count is the whole, not what came in the time given."""
    count = f"{directories:,}" if complete else f"more than {directories:,}"
    fix = f"sysctl fs.inotify.max_user_watches={2 * directories + RESERVED_WATCHES}. Else only the most active are watched."
    return Finding(f"{pipe_id}: {count} directories, {allowed:,} watches allowed", directories <= allowed, fix, "watches")


def _count_directories(root: bytes) -> tuple[int, bool]:
    """How many directories lie under the root, as far as ten seconds of counting go."""
    end, stack, count = time.monotonic() + COUNT_SECONDS, [root], 0
    while stack:
        if time.monotonic() > end:
            return count, False
        count += 1
        try:
            with os.scandir(stack.pop()) as entries:
                stack.extend(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
        except OSError:
            continue
    return count, True


def scan_to_stdout(directory: str) -> int:
    """Scans a directory as a snapshot would, and prints each batch as a line of JSON. Returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="fustor-agent-") as state:
        context = JobContext(
            pipe_id="echo",
            task_id="echo:echo",
            session_id="echo",
            protocol=3,
            source=SourceConfig(uri=directory),
            sender=SenderConfig(driver="echo"),
            state_directory=state,
            root_id="",
        )
        lease = Lease(job_id=str(uuid.uuid4()), kind="snapshot", session_id="echo", task_id="echo:echo")
        return exit_code(asyncio.run(run_unleased(context, lease)))
