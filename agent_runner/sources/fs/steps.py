"""From raw kernel events to steps: moves paired, repeated touches of one file folded into the last. Pure; used by watcher.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from agent_runner.sources.fs import inotify
from agent_runner.sources.fs.inotify import RawEvent

# a MOVED_TO follows its MOVED_FROM at once; only other processors' events can come between
PAIR_WINDOW = 64
_TOUCHES = inotify.CREATE | inotify.MODIFY | inotify.ATTRIB | inotify.CLOSE_WRITE


class What(Enum):
    """What a step asks of the watcher."""

    TOUCHED = "touched"
    MADE_DIRECTORY = "made directory"
    DELETED = "deleted"
    MOVED = "moved"
    MOVED_IN = "moved in"
    MOVED_OUT = "moved out"
    OVERFLOW = "overflow"
    WATCH_LOST = "watch lost"
    UNMOUNTED = "unmounted"


@dataclass(slots=True)
class Step:
    """One thing that happened. `created`, `closed` and `writing` belong to TOUCHED: made since the last step of this file; the last
    writer closed it; it was opened for writing and not closed yet. `to` belongs to MOVED."""

    what: What
    event: RawEvent
    to: RawEvent | None = None
    created: bool = False
    closed: bool = False
    writing: bool = False


def plan(events: Sequence[RawEvent], *, final: bool) -> tuple[list[Step], list[RawEvent]]:
    """The steps of these events, and the events to hold until more are read: a MOVED_FROM so near the end that its MOVED_TO may
    still come. With `final` nothing is held."""
    planner = _Planner(events)
    for position, event in enumerate(events):
        if position in planner.paired:
            continue
        may_pair = event.mask & inotify.MOVED_FROM and len(events) - position <= PAIR_WINDOW
        if may_pair and not final and planner.partner(position) is None:
            return planner.done(), [late for index, late in enumerate(events) if index >= position and index not in planner.paired]
        planner.take(position)
    return planner.done(), []


class _Planner:
    def __init__(self, events: Sequence[RawEvent]) -> None:
        self._events = events
        self._targets = {event.cookie: index for index, event in enumerate(events) if event.mask & inotify.MOVED_TO}
        self._steps: list[Step | None] = []
        self._last_touch: dict[tuple[int, bytes], int] = {}
        self.paired: set[int] = set()

    def partner(self, position: int) -> int | None:
        target = self._targets.get(self._events[position].cookie)
        return target if target is not None and target > position else None

    def done(self) -> list[Step]:
        return [step for step in self._steps if step is not None]

    def take(self, position: int) -> None:
        event = self._events[position]
        mask = event.mask
        if mask & inotify.MOVED_FROM:
            self._move(position, event)
        elif mask & inotify.CREATE and mask & inotify.ISDIR:
            self._change(Step(What.MADE_DIRECTORY, event))
        elif mask & _TOUCHES and (event.name or mask & inotify.ATTRIB):
            self._touch(event)
        else:
            self._take_rare(event)

    def _take_rare(self, event: RawEvent) -> None:
        for flag, what in (
            (inotify.DELETE, What.DELETED),
            (inotify.MOVED_TO, What.MOVED_IN),
            (inotify.Q_OVERFLOW, What.OVERFLOW),
            (inotify.UNMOUNT, What.UNMOUNTED),
            (inotify.DELETE_SELF | inotify.IGNORED, What.WATCH_LOST),
        ):
            if event.mask & flag:
                self._change(Step(what, event))
                return

    def _move(self, position: int, event: RawEvent) -> None:
        target = self.partner(position)
        if target is None:
            self._change(Step(What.MOVED_OUT, event))
            return
        self.paired.add(target)
        self._change(Step(What.MOVED, event, to=self._events[target]))

    def _change(self, step: Step) -> None:
        # names change hands here: touches before and after are of different things
        for event in (step.event, step.to):
            if event is not None:
                self._last_touch.pop((event.wd, event.name), None)
        self._steps.append(step)

    def _touch(self, event: RawEvent) -> None:
        key = (event.wd, event.name)
        step = Step(What.TOUCHED, event, created=bool(event.mask & inotify.CREATE))
        step.closed = bool(event.mask & inotify.CLOSE_WRITE)
        step.writing = not step.closed and bool(event.mask & (inotify.CREATE | inotify.MODIFY))
        earlier = self._last_touch.get(key)
        if earlier is not None and (before := self._steps[earlier]) is not None:
            step.created |= before.created
            if event.mask & inotify.ATTRIB:
                step.closed, step.writing = before.closed, before.writing
            self._steps[earlier] = None
        self._last_touch[key] = len(self._steps)
        self._steps.append(step)
