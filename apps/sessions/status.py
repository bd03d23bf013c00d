"""One status per object: level, label, reason in words, what to do. Pure; the only place where a status is decided.

Used by the console, the API and alerts. Each function takes plain facts (gathered by services.facts) and walks its causes in order of
precedence: the first that holds is the status.
"""

from dataclasses import dataclass
from enum import StrEnum

from fustor_schema.pipestate import PHASES, PipeState, label, lifecycle


class Level(StrEnum):
    """How bad it is, and so its colour and icon."""

    OK = "ok"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"
    OFF = "off"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Status:
    """`reason` and `fix` are sentences for people; empty where there is nothing to say or to do."""

    level: Level
    label: str
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True)
class SessionFacts:
    """What decides the status of a session. Times in seconds."""

    ended: bool = False
    end_cause: str = ""
    idle_seconds: float = 0.0
    timeout_seconds: float = 30.0
    state: PipeState = PipeState.STOPPED
    leads: bool = False
    can_realtime: bool = False
    source_lost: str = ""


def of_session(facts: SessionFacts) -> Status:
    """Ended, lost, silent, in error, working, live."""
    if facts.ended:
        return Status(Level.OFF, "Ended", f"The session is over: {facts.end_cause}." if facts.end_cause else "")
    if facts.source_lost:
        return Status(Level.BAD, "Source lost", facts.source_lost, "Mount the storage again; nothing is deleted meanwhile.")
    if facts.idle_seconds > facts.timeout_seconds:
        return Status(Level.BAD, "Silent", f"No sign of life for {facts.idle_seconds:.0f} s.", "Look at the agent's host and log.")
    if lifecycle(facts.state) == PipeState.ERROR:
        return Status(Level.BAD, "Error", "The agent reports an error on this pipe.", "Open the agent's page for its message.")
    if facts.idle_seconds > 0.75 * facts.timeout_seconds:
        return Status(Level.WARN, "Late", f"No sign of life for {facts.idle_seconds:.0f} s of {facts.timeout_seconds:.0f} s.")
    return _of_reported_state(facts)


def _of_reported_state(facts: SessionFacts) -> Status:
    role = "Leader" if facts.leads else "Follower"
    phases = facts.state & PHASES
    if facts.state & PipeState.RECONNECTING:
        return Status(Level.WARN, f"{role}, reconnecting", "The agent lost touch and is trying again.")
    if lifecycle(facts.state) == PipeState.PAUSED:
        return Status(Level.OFF, f"{role}, paused", "The agent has paused this pipe.", "Resume it from the agent's page.")
    if phases & (PipeState.SNAPSHOT | PipeState.AUDIT):
        return Status(Level.BUSY, f"{role}, {label(phases).lower().replace('|', ' + ')}", "It is scanning its source.")
    if lifecycle(facts.state) in (PipeState.INITIALIZING, PipeState.DRAINING, PipeState.STOPPING):
        return Status(Level.BUSY, f"{role}, {label(lifecycle(facts.state)).lower()}")
    if not facts.can_realtime:
        return Status(Level.OK, role, "It is alive and sends no realtime changes yet.")
    return Status(Level.OK, f"{role}, live", "It sends changes as they happen.")


@dataclass(frozen=True)
class AgentFacts:
    """What decides the status of an agent."""

    enabled: bool = True
    enrolled: bool = True
    live_sessions: int = 0
    sessions_in_error: int = 0
    ever_seen: bool = False
    seen_seconds_ago: float = 0.0
    config_outdated: bool = False


def of_agent(facts: AgentFacts) -> Status:
    """Disabled, never seen, away, in error, outdated, connected."""
    if not facts.enabled:
        return Status(Level.OFF, "Disabled", "A person switched this agent off.", "Enable it to let it connect.")
    if not facts.ever_seen:
        return Status(Level.UNKNOWN, "Never seen", "It has not connected yet.", "Run the enrolment command on its host.")
    if not facts.live_sessions:
        ago = _span(facts.seen_seconds_ago)
        return Status(Level.BAD, "Away", f"No live session; last seen {ago} ago.", "Look at the agent's service on its host.")
    if facts.sessions_in_error:
        return Status(Level.BAD, "Error", f"{facts.sessions_in_error} of its pipes report an error.", "Open the agent's pipes.")
    if facts.config_outdated:
        return Status(Level.WARN, "Configuration outdated", "It runs an older configuration than the one wanted.", "Reload it.")
    return Status(Level.OK, "Connected", _plural(facts.live_sessions, "live session"))


@dataclass(frozen=True)
class PipeFacts:
    """What decides the status of a pipe."""

    enabled: bool = True
    receiver_enabled: bool = True
    paused: bool = False
    views: int = 1
    live_sessions: int = 0
    has_leader: bool = False
    leader: Status | None = None
    snapshot_complete: bool = False


def of_pipe(facts: PipeFacts) -> Status:
    """Disabled, receiver disabled, paused, without view, without agent, without leader, the leader's trouble, first snapshot, live."""
    if not facts.enabled:
        return Status(Level.OFF, "Disabled", "A person switched this pipe off.", "Enable it.")
    if not facts.receiver_enabled:
        return Status(Level.OFF, "Receiver disabled", "Its receiver is switched off, so no key works.", "Enable the receiver.")
    if facts.paused:
        return Status(Level.OFF, "Paused", "Events are refused until it is resumed; agents keep them.", "Resume it.")
    if not facts.views:
        return Status(Level.WARN, "Feeds no view", "What comes in goes nowhere.", "Connect a view to the pipe.")
    if not facts.live_sessions:
        return Status(Level.BAD, "No agent", "No agent is connected.", "Start an agent with a key of this pipe.")
    if not facts.has_leader:
        return Status(Level.WARN, "No leader", "Sessions are live and none leads its view yet.", "It settles within a second.")
    if facts.leader is not None and facts.leader.level in (Level.BAD, Level.WARN):
        return Status(facts.leader.level, f"Leader: {facts.leader.label}", facts.leader.reason, facts.leader.fix)
    if not facts.snapshot_complete:
        return Status(Level.BUSY, "First snapshot", "The first full scan is not complete, so its view answers 503.")
    return Status(Level.OK, "Live", _plural(facts.live_sessions, "live session"))


@dataclass(frozen=True)
class ViewFacts:
    """What decides the status of a view; the worst of its trees counts."""

    enabled: bool = True
    fed: bool = True
    snapshot_complete: bool = False
    leader: bool = False
    live_sessions: int = 0
    offline_seconds: float = 0.0
    source_lost: str = ""
    capacity_exceeded: bool = False
    audits_held: int = 0
    open_gaps: int = 0


def of_view(facts: ViewFacts) -> Status:
    """Disabled, source lost, full, held deletions, not fed, never complete, offline, without leader, gaps, live."""
    if not facts.enabled:
        return Status(Level.OFF, "Disabled", "A person switched this view off.", "Enable it.")
    if facts.source_lost:
        return Status(Level.BAD, "Source lost", facts.source_lost, "Mount the storage again; nothing is deleted meanwhile.")
    if facts.capacity_exceeded:
        return Status(Level.BAD, "Full", "Its limit of nodes is reached; new ones are refused.", "Raise max_nodes of the view.")
    if facts.audits_held:
        return Status(Level.BAD, "Deletions held", "An audit would delete a great deal.", "Approve it on the consistency page.")
    if not facts.fed:
        return Status(Level.WARN, "Not fed", "No pipe feeds this view.", "Connect a pipe to it.")
    if not facts.snapshot_complete:
        return _before_snapshot(facts)
    if not facts.live_sessions:
        since = _span(facts.offline_seconds)
        return Status(Level.WARN, "Offline", f"No agent for {since}; it is served as last known.", "Start an agent.")
    if not facts.leader:
        return Status(Level.WARN, "Degraded", "No session leads it just now.", "It settles within a second.")
    if facts.open_gaps:
        return Status(Level.WARN, "Gaps", f"{_plural(facts.open_gaps, 'part')} unverified until scanned again.")
    return Status(Level.OK, "Live", "It is kept up to date.")


def _before_snapshot(facts: ViewFacts) -> Status:
    if not facts.live_sessions:
        return Status(Level.BAD, "Empty", "No agent has scanned it yet, so it answers 503.", "Start an agent on one of its pipes.")
    return Status(Level.BUSY, "First snapshot", "The first full scan is under way; until then it answers 503.")


@dataclass(frozen=True)
class JobFacts:
    """What decides the status of a job."""

    state: str
    error: str = ""
    cancel_requested: bool = False
    delivery: str = ""
    waited_seconds: float = 0.0
    attempt: int = 1


def of_job(facts: JobFacts) -> Status:
    """Ended states first, then cancelling, running, waiting."""
    ended = {
        "DONE": Status(Level.OK, "Done"),
        "FAILED": Status(Level.BAD, "Failed", facts.error, "Read its log, then retry it."),
        "EXPIRED": Status(Level.WARN, "Expired", facts.error, "Retry it once an agent is connected."),
        "CANCELLED": Status(Level.OFF, "Cancelled", facts.error),
    }
    if facts.state in ended:
        return ended[facts.state]
    if facts.cancel_requested:
        return Status(Level.BUSY, "Cancelling", "The worker stops at its next report.")
    if facts.state in ("LEASED", "RUNNING"):
        again = "It is the second attempt: the first worker was lost." if facts.attempt > 1 else ""
        return Status(Level.BUSY, "Running", again)
    carried = {"queue": "It waits in the agent's queue.", "command": "It goes out with the agent's next heartbeat."}
    return Status(Level.BUSY, "Queued", carried.get(facts.delivery, "It is about to be sent to the agent."))


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return _plural(int(seconds // size), unit)
    return _plural(int(seconds), "second")
