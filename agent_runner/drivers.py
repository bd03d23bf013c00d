"""What a driver must offer, and where drivers are found: entry points `fustor.sources` and `fustor.senders`.

A third party adds a source or sender by publishing a package with such an entry point; nothing here has to change.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, cast

import msgspec

from agent_runner.bus import Fanout
from agent_runner.config import SenderConfig, SourceConfig
from agent_runner.problems import ConfigProblem


class Source(Protocol):
    """Reads changes from storage. Its `events` carry what it sees from `start` on."""

    driver: str
    events: Fanout

    @property
    def uri(self) -> str:
        """What is read."""

    @property
    def ready(self) -> bool:
        """True once nothing that happens from now on is missed."""

    @property
    def alive(self) -> bool:
        """False when it ended by itself and must be started again."""

    def identity(self) -> str:
        """Identity of the storage (R20). Raises SourceProblem."""

    def facts(self) -> dict[str, Any]:
        """What the server should know of the storage, once per session."""

    def start(self) -> None:
        """Starts reading. Raises SourceProblem."""

    def stop(self) -> bool:
        """Stops reading. False: a thread did not end in time."""

    def attend(self, directories: list[bytes]) -> None:
        """These directories (raw paths within the root) changed unseen: see them from now on, where there is a choice."""

    def health(self) -> dict[str, Any]:
        """The source's part of the health report."""


class Grant(msgspec.Struct):
    """The server's answer to a new session. Protocol 2 servers leave the later fields out."""

    session_id: str
    role: str = "follower"
    session_timeout_seconds: float = 30.0
    audit_interval_sec: float = 600.0
    sentinel_interval_sec: float = 120.0
    message: str = ""
    protocol: int = 2
    epoch: int = 0
    committed_seq: int = 0
    heartbeat_interval: float | None = None
    offset_probe: dict[str, float] = {}
    commands: list[dict[str, Any]] = []


class HeartbeatAnswer(msgspec.Struct):
    """The server's answer to a heartbeat."""

    role: str = "follower"
    commands: list[dict[str, Any]] = []
    epoch: int | None = None


class PushAnswer(msgspec.Struct):
    """The server's answer to a batch: committed. `audit` tells how an audit ended, on its last batch."""

    status: str = "ok"
    count: int = 0
    rows: int = 0
    applied: int = 0
    ignored: int = 0
    rejected: list[dict[str, Any]] = []
    committed_seq: int | None = None
    audit: dict[str, Any] | None = None


class Packed(msgspec.Struct, frozen=True):
    """A batch as it travels. `encoding`: what its content was compressed with, empty for nothing."""

    content: bytes
    encoding: str = ""


class Lease(msgspec.Struct):
    """One job, leased to this process."""

    job_id: str
    kind: str
    path: str = "/"
    recursive: bool = True
    attempt: int = 1
    lease_seconds: float = 30.0
    session_id: str = ""
    epoch: int = 0
    task_id: str = ""
    audit_id: str | None = None


class Renewal(msgspec.Struct):
    """The server's answer to a job's progress."""

    cancel: bool = False
    lease_seconds: float = 30.0


class Sender(Protocol):
    """Carries events out. Every call raises a SenderProblem (problems.py) when it did not work."""

    driver: str

    async def open_session(self, request: dict[str, Any]) -> Grant:
        """Opens a session."""

    async def heartbeat(self, session_id: str, report: dict[str, Any]) -> HeartbeatAnswer:
        """Keeps it alive, brings commands back."""

    async def close_session(self, session_id: str) -> None:
        """Ends it."""

    def pack(self, body: bytes) -> Packed:
        """Makes one encoded batch ready to travel; may be done while another one is on its way."""

    async def push(self, session_id: str, batch: Packed) -> PushAnswer:
        """Sends one batch. Returns once it is committed."""

    async def lease_job(self, job_id: str, session_id: str, worker: str) -> Lease | None:
        """Leases a job; None when somebody else has it or it is finished."""

    async def report_progress(self, job_id: str, progress: dict[str, Any]) -> Renewal:
        """Reports progress and renews the lease."""

    async def finish_job(self, job_id: str, outcome: dict[str, Any]) -> None:
        """Ends a job."""

    async def sentinel_tasks(self) -> list[str]:
        """Paths to look at again."""

    async def sentinel_feedback(self, updates: list[dict[str, Any]]) -> None:
        """What was found there."""

    async def start_audit(self, request: dict[str, Any]) -> None:
        """Opens an audit cycle."""

    async def close(self) -> None:
        """Gives up its connections."""


def _find(group: str, name: str, what: str) -> EntryPoint:
    found = {point.name: point for point in entry_points(group=group)}
    found = {**{name: EntryPoint(name, value, group) for name, value in _BUILT_IN[group].items()}, **found}
    if name not in found:
        raise ConfigProblem(f"{what} driver {name!r} is not installed", f"Use one of: {', '.join(sorted(found))}.")
    return found[name]


_BUILT_IN = {
    "fustor.sources": {"fs": "agent_runner.sources.fs.source:FsSource"},
    "fustor.senders": {"http": "agent_runner.senders.http:HttpSender", "echo": "agent_runner.senders.echo:EchoSender"},
}


def make_source(config: SourceConfig) -> Source:
    """The source of a configuration. Raises ConfigProblem."""
    return cast(Source, _find("fustor.sources", config.driver, "source").load()(config))


def make_sender(config: SenderConfig) -> Sender:
    """The sender of a configuration. Raises ConfigProblem."""
    return cast(Sender, _find("fustor.senders", config.driver, "sender").load()(config))
