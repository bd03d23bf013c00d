"""Waves of a rollout: which agents get a change first. Pure.

A wave is written as labels (`site=north, rack=7`: agents that have all of them) or as a share (`10%` of the agents concerned,
counting those of earlier waves). Whoever is in none comes last.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from apps.runtime.problems import Invalid

MOST_WAVES = 20
LONGEST_SECONDS = 7 * 86400.0
THE_REST = "the rest"


@dataclass(frozen=True)
class Wave:
    """Agents with all of these labels; or, without labels, `percent` of all agents concerned."""

    labels: tuple[tuple[str, str], ...] = ()
    percent: int = 0

    def labels_fit(self, labels: Mapping[str, str]) -> bool:
        """Whether an agent with these labels belongs to the wave."""
        return all(labels.get(name) == value for name, value in self.labels)

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.labels) or f"{self.percent}%"


@dataclass(frozen=True)
class Terms:
    """How a change is rolled out.

    `tolerated`: failed agents that do not halt it. `patience_seconds`: after that an agent that is connected and has not
    reported counts as failed. `pause_seconds`: rest between two waves.
    """

    waves: tuple[Wave, ...]
    tolerated: int = 0
    patience_seconds: float = 600.0
    pause_seconds: float = 60.0

    def check(self) -> None:
        """Raises Invalid naming the field."""
        if not 1 <= len(self.waves) <= MOST_WAVES:
            raise Invalid(f"A rollout has 1 to {MOST_WAVES} waves.", field="waves", fix="Write one wave per line.")
        if self.tolerated < 0:
            raise Invalid("The number of tolerated failures is 0 or more.", field="tolerated")
        for name in ("patience_seconds", "pause_seconds"):
            if not 0 <= getattr(self, name) <= LONGEST_SECONDS:
                raise Invalid(f"Must be 0 to {LONGEST_SECONDS:.0f} seconds.", field=name)


def parse_waves(text: str) -> tuple[Wave, ...]:
    """Waves from text, one per line. Raises Invalid naming the line."""
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return tuple(_parse_wave(line, number) for number, line in lines if line)


def _parse_wave(line: str, number: int) -> Wave:
    if line.endswith("%"):
        share = line[:-1].strip()
        if share.isascii() and share.isdigit() and 1 <= int(share) <= 100:
            return Wave(percent=int(share))
        raise Invalid(f"Wave {number}: a share is 1% to 100%, not {line!r}.", field="waves")
    pairs = [part.partition("=") for part in line.split(",")]
    if all(name.strip() and sign and value.strip() for name, sign, value in pairs):
        return Wave(labels=tuple(sorted((name.strip(), value.strip()) for name, _, value in pairs)))
    raise Invalid(
        f"Wave {number}: {line!r} is neither labels nor a share.", field="waves", fix="Write `site=north, rack=7` or `10%`."
    )


def assign(agents: Mapping[str, Mapping[str, str]], waves: Iterable[Wave], seed: str) -> list[tuple[str, list[str]]]:
    """The waves that have agents, in order: (name, agents). `agents`: labels by agent id; `seed` mixes who comes early."""
    left = sorted(agents, key=lambda agent: hashlib.blake2b(f"{seed} {agent}".encode(), digest_size=8).digest())
    sent, found = 0, []
    for wave in waves:
        if wave.labels:
            chosen = [agent for agent in left if wave.labels_fit(agents[agent])]
        else:
            chosen = left[: max(0, math.ceil(len(agents) * wave.percent / 100) - sent)]
        if chosen:
            found.append((str(wave), sorted(chosen)))
            sent += len(chosen)
            gone = set(chosen)
            left = [agent for agent in left if agent not in gone]
    return [*found, (THE_REST, sorted(left))] if left else found
