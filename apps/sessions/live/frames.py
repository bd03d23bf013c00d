"""Frames: what a room knows at one moment, and the text of it for each kind of member, made once for all of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Frame:
    """One state of a board. `hints`: whether hints arrive, or the room only reads on its own clock.

    `parts`: element id → its HTML as a JSON string. `changed_in`: element id → the number of the frame since which it is as it is:
    a member that has an earlier frame needs it. `state`: the same as JSON.
    """

    number: int
    hints: bool
    state: bytes
    parts: Mapping[str, str]
    changed_in: Mapping[str, int]
    _texts: dict[tuple[str, ...] | None, str] = field(default_factory=dict, repr=False, compare=False)

    def for_program(self) -> str:
        """The message for a program: the whole state."""
        return self._once(None, lambda: f'"state":{self.state.decode()}')

    def for_page(self, shown: int) -> str:
        """The message for a page that shows frame `shown` (0: none yet): the parts that are new to it."""
        names = tuple(name for name, number in self.changed_in.items() if number > shown)
        return self._once(names, lambda: '"parts":{' + ",".join(f"{json.dumps(name)}:{self.parts[name]}" for name in names) + "}")

    def _once(self, key: tuple[str, ...] | None, content: Callable[[], str]) -> str:
        if key not in self._texts:
            self._texts[key] = f'{{"number":{self.number},"hints":{json.dumps(self.hints)},{content()}}}'
        return self._texts[key]


def following(before: Frame | None, parts: Mapping[str, str], state: bytes, hints: bool) -> Frame:
    """The frame after `before`."""
    number = before.number + 1 if before else 1
    changed_in = {
        name: before.changed_in[name] if before and before.parts.get(name) == html else number for name, html in parts.items()
    }
    return Frame(number, hints, state, parts, changed_in)
