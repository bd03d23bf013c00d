"""The drawing of the pipe state machine: where each state stands, and an arrow for every transition that the machine allows."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import hypot

from fustor_schema import pipestate
from fustor_schema.pipestate import PipeState

COLUMN, ROW, WIDTH, HEIGHT = 168, 78, 120, 34
# (column, row): chosen so that no arrow runs through a third state
PLACES = {
    PipeState.STOPPED: (0.0, 0.0),
    PipeState.INITIALIZING: (1.0, 0.0),
    PipeState.RUNNING: (2.0, 0.0),
    PipeState.PAUSED: (3.0, 0.0),
    PipeState.ERROR: (2.65, 1.0),
    PipeState.STOPPING: (0.0, 2.0),
    PipeState.DRAINING: (2.0, 2.0),
}
DRAWING_SIZE = (int(3 * COLUMN) + WIDTH + 8, int(2 * ROW) + HEIGHT + 8)


@dataclass(frozen=True)
class Box:
    """One state: its centre in drawing units, and whether it is lit."""

    name: str
    x: float
    y: float
    lit: bool

    @property
    def left(self) -> float:
        """Left edge."""
        return self.x - WIDTH / 2

    @property
    def top(self) -> float:
        """Upper edge."""
        return self.y - HEIGHT / 2


@dataclass(frozen=True)
class Arrow:
    """One transition, from edge to edge; lit when it leaves a lit state."""

    x1: float
    y1: float
    x2: float
    y2: float
    lit: bool


def boxes(lit: Collection[str]) -> dict[PipeState, Box]:
    """Every state of the machine at its place."""
    return {
        state: Box(
            pipestate.label(state), column * COLUMN + WIDTH / 2 + 4, row * ROW + HEIGHT / 2 + 4, pipestate.label(state) in lit
        )
        for state, (column, row) in PLACES.items()
    }


def arrows(placed: dict[PipeState, Box]) -> Iterator[Arrow]:
    """Every transition. A pair of opposite transitions is drawn as two lines side by side."""
    for state, targets in pipestate.TRANSITIONS.items():
        for target in targets:
            there_and_back = state in pipestate.TRANSITIONS[target]
            yield _arrow(placed[state], placed[target], 5.0 if there_and_back else 0.0)


def _arrow(start: Box, end: Box, aside: float) -> Arrow:
    across, down = end.x - start.x, end.y - start.y
    length = hypot(across, down)
    shift_x, shift_y = -down / length * aside, across / length * aside
    cut = min(WIDTH / 2 / abs(across) if across else 1, HEIGHT / 2 / abs(down) if down else 1)
    cut_end = cut + 5 / length
    return Arrow(
        round(start.x + across * cut + shift_x, 1),
        round(start.y + down * cut + shift_y, 1),
        round(end.x - across * cut_end + shift_x, 1),
        round(end.y - down * cut_end + shift_y, 1),
        start.lit,
    )
