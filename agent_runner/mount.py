"""The storage below a source, as a mount: which one it is, asked without ever waiting long. Used by pipe.py and session.py."""

from collections.abc import Callable
from typing import Any

from agent_runner.asking import Asking
from agent_runner.drivers import Source
from agent_runner.problems import SessionObsolete, SourceProblem

IDENTITY_SECONDS = 5.0


class Mount:
    """`root_id`: the identity that the session was opened with, empty when the storage did not answer; `facts`: what the server
    should know of the storage. `failed` is told why it cannot be asked."""

    def __init__(self, source: Source, failed: Callable[[str], None]) -> None:
        self._source, self._failed = source, failed
        self._storage = Asking(self._ask)
        self.root_id = ""
        self.facts: dict[str, Any] = {}

    async def settle(self) -> None:
        """A session is about to be opened: what is mounted now is what it is opened for."""
        self.root_id = await self._identity()

    async def check(self) -> None:
        """Raises SessionObsolete when the storage is another one than the session was opened for (R20)."""
        now = await self._identity()
        if now and now != self.root_id:
            raise SessionObsolete(f"{self._source.uri} is another storage now: {now}, not {self.root_id or 'readable'}")

    async def _identity(self) -> str:
        """The mount's identity, empty when the storage does not answer: the control plane goes on without it."""
        try:
            identity, self.facts = await self._storage.ask(IDENTITY_SECONDS)
        except SourceProblem as problem:
            self._failed(str(problem))
        except TimeoutError:
            self._failed(f"{self._source.uri} does not answer")
        else:
            return identity
        return ""

    def _ask(self) -> tuple[str, dict[str, Any]]:
        return self._source.identity(), self._source.facts()
