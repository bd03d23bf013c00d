"""One status per object: level, label, reason in words, what to do. Pure; the only place where a status is decided.

Used by the console, the API and alerts. Each function takes plain facts (gathered by services.facts) and lists its causes in
order of precedence: the first that holds is the status.
"""

from dataclasses import dataclass
from enum import StrEnum

from fustor_schema.pipestate import PipeState, label, lifecycle


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


def _first(otherwise: Status, *causes: tuple[object, Status]) -> Status:
    """The status of the first cause that holds."""
    return next((status for holds, status in causes if holds), otherwise)


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
    """Ended, source lost, silent, in error, late; else what the agent reports."""
    idle = f"No sign of life for {facts.idle_seconds:.0f} s of {facts.timeout_seconds:.0f} s."
    over = f"The session is over: {facts.end_cause}." if facts.end_cause else ""
    return _first(
        _of_reported_state(facts),
        (facts.ended, Status(Level.OFF, "Ended", over)),
        (
            facts.source_lost,
            Status(Level.BAD, "Source lost", facts.source_lost, "Mount the storage again; nothing is deleted meanwhile."),
        ),
        (
            facts.idle_seconds > facts.timeout_seconds,
            Status(Level.BAD, "Silent", idle, "Look at the agent's service and log on its host."),
        ),
        (
            lifecycle(facts.state) == PipeState.ERROR,
            Status(Level.BAD, "Error", "The agent reports an error on this pipe.", "Open the agent's page for its message."),
        ),
        (facts.idle_seconds > 0.75 * facts.timeout_seconds, Status(Level.WARN, "Late", idle)),
    )


def _of_reported_state(facts: SessionFacts) -> Status:
    role = "Leader" if facts.leads else "Follower"
    cycle = lifecycle(facts.state)
    scans = facts.state & (PipeState.SNAPSHOT | PipeState.AUDIT)
    scanning = f"{role}, {label(scans).lower().replace('|', ' + ')}"
    return _first(
        Status(Level.OK, f"{role}, live", "It sends changes as they happen."),
        (
            facts.state & PipeState.RECONNECTING,
            Status(Level.WARN, f"{role}, reconnecting", "The agent lost touch and is trying again."),
        ),
        (
            cycle == PipeState.PAUSED,
            Status(Level.OFF, f"{role}, paused", "The agent has paused this pipe.", "Resume it from the agent's page."),
        ),
        (scans, Status(Level.BUSY, scanning, "It is scanning its source.")),
        (
            cycle in (PipeState.INITIALIZING, PipeState.DRAINING, PipeState.STOPPING),
            Status(Level.BUSY, f"{role}, {label(cycle).lower()}"),
        ),
        (not facts.can_realtime, Status(Level.OK, role, "It is alive and sends no realtime changes yet.")),
    )


def of_upgrade(state: str) -> Status:
    """An agent's upgrade by command, from the state of the command."""
    ended = {
        "DONE": Status(Level.OK, "Done", "The host's command succeeded, and the agent was started again."),
        "FAILED": Status(Level.BAD, "Failed", "Nothing was restarted.", "Mend it on the host, or order it again."),
        "EXPIRED": Status(Level.WARN, "Not told", "The agent did not say how it ended.", "Compare the agent's version."),
    }
    return ended.get(state, Status(Level.BUSY, "Under way"))


@dataclass(frozen=True)
class AgentFacts:
    """What decides the status of an agent."""

    enabled: bool = True
    live_sessions: int = 0
    sessions_in_error: int = 0
    ever_seen: bool = False
    seen_seconds_ago: float = 0.0
    config_outdated: bool = False
    config_refused: str = ""


def of_agent(facts: AgentFacts) -> Status:
    """Disabled, never seen, away, in error, outdated, connected."""
    away = f"No live session; last seen {_span(facts.seen_seconds_ago)} ago."
    return _first(
        Status(Level.OK, "Connected", _plural(facts.live_sessions, "live session")),
        (not facts.enabled, Status(Level.OFF, "Disabled", "A person switched this agent off.", "Enable it to let it connect.")),
        (
            not facts.ever_seen,
            Status(Level.UNKNOWN, "Never seen", "It has not connected yet.", "Run the enrolment command on its host."),
        ),
        (not facts.live_sessions, Status(Level.BAD, "Away", away, "Look at the agent's service on its host.")),
        (
            facts.sessions_in_error,
            Status(Level.BAD, "Error", f"{_plural(facts.sessions_in_error, 'pipe')} in error.", "Open the agent's pipes."),
        ),
        (
            facts.config_refused,
            Status(
                Level.BAD,
                "Configuration refused",
                f"It stays on the older one: {facts.config_refused}",
                "Mend what it names, or restore the revision before.",
            ),
        ),
        (
            facts.config_outdated,
            Status(
                Level.WARN,
                "Configuration outdated",
                "It runs an older configuration than the one wanted.",
                "It asks again within five minutes; reload it to have it sooner.",
            ),
        ),
    )


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
    """What is switched off comes first, then what is missing, then the leader's trouble, then the first snapshot."""
    leader = facts.leader or Status(Level.OK, "")
    return _first(
        Status(Level.OK, "Live", _plural(facts.live_sessions, "live session")),
        (not facts.enabled, Status(Level.OFF, "Disabled", "A person switched this pipe off.", "Enable it.")),
        (
            not facts.receiver_enabled,
            Status(Level.OFF, "Receiver disabled", "Its receiver is switched off, so no key works.", "Enable the receiver."),
        ),
        (facts.paused, Status(Level.OFF, "Paused", "Events are refused until it is resumed; agents keep them.", "Resume it.")),
        (not facts.views, Status(Level.WARN, "Feeds no view", "What comes in goes nowhere.", "Connect a view to the pipe.")),
        (
            not facts.live_sessions,
            Status(Level.BAD, "No agent", "No agent is connected.", "Start an agent with a key of this pipe."),
        ),
        (
            not facts.has_leader,
            Status(Level.WARN, "No leader", "Sessions are live and none leads its view yet.", "It settles within a second."),
        ),
        (leader.level in (Level.BAD, Level.WARN), Status(leader.level, f"Leader: {leader.label}", leader.reason, leader.fix)),
        (
            not facts.snapshot_complete,
            Status(Level.BUSY, "First snapshot", "The first full scan is not complete, so its view answers 503."),
        ),
    )


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
    """What is switched off, then what endangers the picture, then what keeps it from being fresh."""
    offline = f"No agent for {_span(facts.offline_seconds)}; it is served as last known."
    gaps = f"{_plural(facts.open_gaps, 'part')} unverified until scanned again."
    return _first(
        Status(Level.OK, "Live", "It is kept up to date."),
        (not facts.enabled, Status(Level.OFF, "Disabled", "A person switched this view off.", "Enable it.")),
        (
            facts.source_lost,
            Status(Level.BAD, "Source lost", facts.source_lost, "Mount the storage again; nothing is deleted meanwhile."),
        ),
        (
            facts.capacity_exceeded,
            Status(Level.BAD, "Full", "Its limit of nodes is reached; new ones are refused.", "Raise max_nodes of the view."),
        ),
        (
            facts.audits_held,
            Status(Level.BAD, "Deletions held", "An audit would delete a great deal.", "Approve it on the consistency page."),
        ),
        (not facts.fed, Status(Level.WARN, "Not fed", "No pipe feeds this view.", "Connect a pipe to it.")),
        (not facts.snapshot_complete, _before_snapshot(facts)),
        (not facts.live_sessions, Status(Level.WARN, "Offline", offline, "Start an agent.")),
        (not facts.leader, Status(Level.WARN, "Degraded", "No session leads it just now.", "It settles within a second.")),
        (facts.open_gaps, Status(Level.WARN, "Gaps", gaps)),
    )


def _before_snapshot(facts: ViewFacts) -> Status:
    if not facts.live_sessions:
        return Status(Level.BAD, "Empty", "No agent has scanned it yet, so it answers 503.", "Start an agent on one of its pipes.")
    return Status(Level.BUSY, "First snapshot", "The first full scan is under way; until then it answers 503.")


@dataclass(frozen=True)
class JobFacts:
    """What decides the status of a job. `skipped`: how often in a row it was due while nobody could run it."""

    state: str
    error: str = ""
    cancel_requested: bool = False
    delivery: str = ""
    attempt: int = 1
    skipped: int = 0


def of_job(facts: JobFacts) -> Status:
    """Ended states first, then cancelling, running, waiting."""
    if facts.skipped:
        return Status(Level.OFF, f"Skipped ×{facts.skipped}", facts.error, "It runs once a session leads and the pipe goes on.")
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


@dataclass(frozen=True)
class RolloutFacts:
    """What decides the status of a rollout."""

    state: str
    wave: int
    waves: int
    halted_because: str = ""


def of_rollout(facts: RolloutFacts) -> Status:
    """Its ends first, then a halt, then how far it is."""
    known = {
        "halted": Status(Level.BAD, "Halted", facts.halted_because, "Mend the agents and go on, or roll it back."),
        "done": Status(Level.OK, "Done", "Every agent that is connected was asked, and what failed was tolerated."),
        "cancelled": Status(Level.OFF, "Stopped", "Who had not got it keeps what it runs until a later change concerns it."),
        "rolled_back": Status(Level.OFF, "Rolled back", facts.halted_because),
    }
    return known.get(facts.state) or Status(Level.BUSY, f"Wave {facts.wave} of {facts.waves}")


MEMBERS = {
    "waiting": Status(Level.OFF, "Waiting", "Its wave has not come."),
    "sent": Status(Level.BUSY, "Told", "It has not reported yet."),
    "running": Status(Level.OK, "Runs it"),
    "failed": Status(Level.BAD, "Failed"),
    "away": Status(Level.WARN, "Away"),
    "skipped": Status(Level.OFF, "Passed over"),
}


def of_member(state: str, reason: str) -> Status:
    """One agent in a rollout, with its own words where it gave some."""
    known = MEMBERS[state]
    return Status(known.level, known.label, reason or known.reason)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _span(seconds: float) -> str:
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return _plural(int(seconds // size), unit)
    return _plural(int(seconds), "second")
