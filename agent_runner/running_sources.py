"""The sources that this agent reads: equal ones are one, started and started again while a pipe uses them. For the supervisor."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from agent_runner import log
from agent_runner.config import SourceConfig
from agent_runner.drivers import Source, make_source
from agent_runner.error_recovery import Recovery
from agent_runner.problems import SourceProblem

_log = log.get("sources")


@dataclass
class _Running:
    """A source, started or waiting for its next try."""

    source: Source
    recovery: Recovery = field(default_factory=lambda: Recovery(first=1.0, longest=30.0))
    started: bool = False
    next_try: float = 0.0


class RunningSources:
    """Every source by its configuration."""

    def __init__(self) -> None:
        self._sources: dict[bytes, _Running] = {}

    def get(self, config: SourceConfig) -> Source:
        """The source of this configuration; it runs from the next `tend` on. Raises ConfigProblem."""
        key = msgspec.json.encode(config)
        if key not in self._sources:
            self._sources[key] = _Running(make_source(config))
        return self._sources[key].source

    def tend(self) -> None:
        """Starts sources that do not run: at first, after a failure, and when their thread ended by itself."""
        now = asyncio.get_running_loop().time()
        for item in self._sources.values():
            if item.started and item.source.alive:
                continue
            if item.started:
                item.started = False
                item.source.stop()
                item.next_try = now + item.recovery.failed(SourceProblem("the watching thread ended"))
            elif now >= item.next_try:
                _try(item, now)

    def keep_only(self, used: Iterable[SourceConfig]) -> None:
        """Stops the others."""
        keys = {msgspec.json.encode(config) for config in used}
        for key in [key for key in self._sources if key not in keys]:
            _stop(self._sources.pop(key))

    def stop(self) -> None:
        """Stops every source."""
        for item in self._sources.values():
            _stop(item)


def _try(item: _Running, now: float) -> None:
    try:
        item.source.start()
    except SourceProblem as problem:
        item.next_try = now + item.recovery.failed(problem)
        _log.error("source not started", uri=item.source.uri, reason=str(problem), fix=problem.fix)
    else:
        item.started = True


def _stop(item: _Running) -> None:
    if not item.source.stop():
        _log.error("a watching thread does not end: it hangs in the storage", uri=item.source.uri)
