"""Write docs/state-machine.md from fustor_schema.pipestate: `python tools/state_machine.py [--check]`.

`--check` writes nothing and exits 1 when the file does not say what the code says; a test calls it.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fustor_schema.pipestate import LIFECYCLE, OVERLAYS, PHASES, TRANSITIONS, PipeState, label

TARGET = Path(__file__).resolve().parent.parent / "docs" / "state-machine.md"
MEANING = {
    PipeState.INITIALIZING: "the agent pipe starts: drivers are made, the session is opened",
    PipeState.RUNNING: "it works; the phases say at what",
    PipeState.PAUSED: "a person paused it; nothing is read or sent",
    PipeState.ERROR: "it cannot go on by itself; the agent says why",
    PipeState.CONF_OUTDATED: "it runs an older configuration than the one wanted",
    PipeState.SNAPSHOT: "a first full scan is under way",
    PipeState.MESSAGE: "changes are sent as they happen",
    PipeState.AUDIT: "a periodic scan is under way",
    PipeState.RECONNECTING: "the session was lost; another is being opened",
    PipeState.DRAINING: "what is buffered is still sent, nothing new is read",
    PipeState.STOPPING: "it is being shut down",
}


def render() -> str:
    """The whole document."""
    return "\n".join((*_head(), *_table(), *_diagram(), *_transitions(), ""))


def _head() -> list[str]:
    return [
        "# The state of an agent pipe",
        "",
        "Written by `tools/state_machine.py` from `fustor_schema/pipestate.py`; a test keeps the two together.",
        "",
        "A state is a sum of flags: one for the life cycle (none means STOPPED), any number of phases, any number of overlays.",
        "Agents report it in `agent_status.state` of a heartbeat, as a number in text or as names joined by `|`.",
        "The server keeps every change with its time; one that this page does not know is kept too, with the objection.",
        "",
    ]


def _table() -> list[str]:
    rows = ["| flag | value | group | meaning |", "| --- | --- | --- | --- |"]
    return [*rows, *(f"| `{flag.name}` | {flag.value} | {_group(flag)} | {MEANING[flag]} |" for flag in PipeState if flag), ""]


def _group(flag: PipeState) -> str:
    groups = {"life cycle": LIFECYCLE, "phase": PHASES, "overlay": OVERLAYS}
    return next(name for name, members in groups.items() if flag & members)


def _diagram() -> list[str]:
    arrows = [f"    {label(before)} --> {label(after)}" for before in TRANSITIONS for after in _ordered(TRANSITIONS[before])]
    return ["```mermaid", "stateDiagram-v2", "    [*] --> STOPPED", *arrows, "```", ""]


def _transitions() -> list[str]:
    lines = ["| from | to |", "| --- | --- |"]
    for before, afters in TRANSITIONS.items():
        lines.append(f"| `{label(before)}` | {', '.join(f'`{label(after)}`' for after in _ordered(afters))} |")
    return [*lines, "", "Phases run only while RUNNING or DRAINING. Overlays come and go at any time."]


def _ordered(states: frozenset[PipeState]) -> list[PipeState]:
    return sorted(states, key=int)


def main() -> int:
    """Write, or compare."""
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(render())
        return 0
    if TARGET.read_text() == render():
        return 0
    print(f"{TARGET} is out of date: run python tools/state_machine.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
