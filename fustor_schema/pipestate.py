"""The state of an AgentPipe as composable flags, integer-compatible with what protocol V2 agents report."""

from enum import IntFlag


class PipeState(IntFlag):
    """STOPPED is no flag at all; RUNNING usually comes with the phases under way."""

    STOPPED = 0
    INITIALIZING = 1
    RUNNING = 2
    PAUSED = 4
    ERROR = 8
    CONF_OUTDATED = 16
    SNAPSHOT = 32
    MESSAGE = 64
    AUDIT = 128
    RECONNECTING = 256
    DRAINING = 512
    STOPPING = 1024


LIFECYCLE = (
    PipeState.INITIALIZING | PipeState.RUNNING | PipeState.PAUSED | PipeState.ERROR | PipeState.DRAINING | PipeState.STOPPING
)
PHASES = PipeState.SNAPSHOT | PipeState.MESSAGE | PipeState.AUDIT
OVERLAYS = PipeState.CONF_OUTDATED | PipeState.RECONNECTING

_NEXT: dict[PipeState, frozenset[PipeState]] = {
    PipeState.STOPPED: frozenset({PipeState.INITIALIZING}),
    PipeState.INITIALIZING: frozenset({PipeState.RUNNING, PipeState.ERROR, PipeState.STOPPING}),
    PipeState.RUNNING: frozenset({PipeState.PAUSED, PipeState.ERROR, PipeState.DRAINING, PipeState.STOPPING}),
    PipeState.PAUSED: frozenset({PipeState.RUNNING, PipeState.ERROR, PipeState.STOPPING}),
    PipeState.ERROR: frozenset({PipeState.INITIALIZING, PipeState.RUNNING, PipeState.STOPPING}),
    PipeState.DRAINING: frozenset({PipeState.STOPPING, PipeState.ERROR}),
    PipeState.STOPPING: frozenset({PipeState.STOPPED, PipeState.ERROR}),
}
TRANSITIONS = _NEXT


class IllegalTransition(ValueError):
    """A change of state that the state machine does not know; the text names both ends."""


def lifecycle(state: PipeState) -> PipeState:
    """The one lifecycle flag of a state (its phases and overlays stripped); the strongest when an old agent sets several."""
    flags = state & LIFECYCLE
    for strongest in (
        PipeState.STOPPING,
        PipeState.DRAINING,
        PipeState.ERROR,
        PipeState.PAUSED,
        PipeState.RUNNING,
        PipeState.INITIALIZING,
    ):
        if flags & strongest:
            return strongest
    return PipeState.STOPPED


def advance(current: PipeState, wanted: PipeState) -> PipeState:
    """`wanted`, when the state machine allows it from `current`. Phases need RUNNING. Raises IllegalTransition."""
    before, after = lifecycle(current), lifecycle(wanted)
    if before != after and after not in _NEXT[before]:
        raise IllegalTransition(f"{label(before)} cannot become {label(after)}")
    if wanted & PHASES and not wanted & (PipeState.RUNNING | PipeState.DRAINING):
        raise IllegalTransition(f"a phase runs only while RUNNING or DRAINING, not in {label(after)}")
    return wanted


def label(state: PipeState) -> str:
    """`RUNNING|SNAPSHOT|MESSAGE`; `STOPPED` for none."""
    return "|".join(flag.name for flag in PipeState if flag and state & flag and flag.name) or "STOPPED"


def parse(text: str | int | None) -> PipeState:
    """The state an agent reports: an int, an int as text, or names joined by `|`. Unknown bits are kept out.

    Raises ValueError when it is neither.
    """
    if text is None or text == "":
        return PipeState.STOPPED
    if isinstance(text, str) and not text.lstrip("-").isdigit():
        state = PipeState.STOPPED
        for part in text.split("|"):
            try:
                state |= PipeState[part.strip().upper().removeprefix("PIPESTATE.")]
            except KeyError as error:
                raise ValueError(f"{part!r} is no pipe state") from error
        return state
    value = int(text)
    if value < 0:
        raise ValueError("a pipe state is not negative")
    return PipeState(value & int(LIFECYCLE | PHASES | OVERLAYS))
