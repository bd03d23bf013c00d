"""The drawing of who feeds what: lanes of agents, receivers, pipes and views with a curve for every connection. Pure.

Used by the fleet board; the template only writes the numbers down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LANES = ("agents", "receivers", "pipes", "views")
LANE_WIDTH, BOX_WIDTH, BOX_HEIGHT, GAP, TOP = 250, 190, 46, 14, 34
MOST_PER_LANE = 30
LABEL_LENGTH = 22


@dataclass(frozen=True)
class Item:
    """One object to draw. `key` is unique within its lane; `url` may be empty."""

    key: str
    label: str
    note: str
    level: str
    url: str = ""


@dataclass(frozen=True)
class Box:
    """An item at its place, in drawing units."""

    item: Item
    lane: str
    x: int
    y: int

    @property
    def short(self) -> str:
        """The label, cut to what fits."""
        return self.item.label if len(self.item.label) <= LABEL_LENGTH else self.item.label[: LABEL_LENGTH - 1] + "…"


@dataclass(frozen=True)
class Curve:
    """A connection from the right edge of a box to the left edge of another."""

    x1: int
    y1: int
    x2: int
    y2: int
    level: str

    @property
    def path(self) -> str:
        """SVG path data."""
        middle = (self.x1 + self.x2) // 2
        return f"M{self.x1} {self.y1}C{middle} {self.y1} {middle} {self.y2} {self.x2} {self.y2}"


@dataclass(frozen=True)
class Drawing:
    """Everything the template needs. `hidden`: how many items did not fit."""

    boxes: tuple[Box, ...]
    curves: tuple[Curve, ...]
    width: int
    height: int
    hidden: int


def draw(lanes: dict[str, Sequence[Item]], links: Iterable[tuple[str, str, str, str]]) -> Drawing:
    """Lay out the items of every lane, and the links `(lane, key, next lane, key)` between those that are shown.

    A curve has the level of the box it comes from.
    """
    tallest = max((min(len(items), MOST_PER_LANE) for items in lanes.values()), default=0)
    height = TOP + max(1, tallest) * (BOX_HEIGHT + GAP)
    boxes = {(box.lane, box.item.key): box for lane in LANES for box in _lane(lane, lanes.get(lane, ())[:MOST_PER_LANE], height)}
    curves = [
        _curve(boxes[lane, key], boxes[to_lane, to_key])
        for lane, key, to_lane, to_key in dict.fromkeys(links)
        if (lane, key) in boxes and (to_lane, to_key) in boxes
    ]
    hidden = sum(max(0, len(items) - MOST_PER_LANE) for items in lanes.values())
    return Drawing(tuple(boxes.values()), tuple(curves), (len(LANES) - 1) * LANE_WIDTH + BOX_WIDTH, height, hidden)


def _lane(lane: str, items: Sequence[Item], height: int) -> Iterable[Box]:
    """The boxes of one lane, spread evenly over the height."""
    room = (height - TOP) // max(1, len(items))
    for number, item in enumerate(items):
        yield Box(item, lane, LANES.index(lane) * LANE_WIDTH, TOP + number * room + (room - BOX_HEIGHT) // 2)


def _curve(start: Box, end: Box) -> Curve:
    return Curve(start.x + BOX_WIDTH, start.y + BOX_HEIGHT // 2, end.x, end.y + BOX_HEIGHT // 2, start.item.level)
