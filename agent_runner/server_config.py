"""The configuration that the server wants this agent to run: fetched, reported back. Used by the supervisor."""

from typing import Any

import msgspec

from agent_runner import config
from agent_runner.config import AgentConfig, Own, SenderConfig
from agent_runner.problems import NotAuthorized, Refused
from agent_runner.senders.http import HttpSender


class _Desired(msgspec.Struct):
    revision: int
    config: dict[str, Any]


class ServerConfig:
    """Speaks to the server with this agent's own key."""

    def __init__(self, own: Own) -> None:
        self._own = own
        self._told: tuple[str, str] | None = None

    async def fetch(self) -> AgentConfig | None:
        """The desired configuration; None when this key has none (a receiver's key, or an agent without pipes).

        Raises SenderProblem, and ConfigProblem when it cannot be used on this host.
        """
        sender = self._sender()
        try:
            desired = await sender.call("GET", "/agents/self/config", None, _Desired)
        except (NotAuthorized, Refused):
            # a key that may push and nothing more: what the command line or the file says is what runs
            return None
        finally:
            await sender.close()
        if not desired.config.get("pipes"):
            return None
        return config.from_document(desired.config, self._own, "the server's configuration", str(desired.revision))

    async def report(self, revision: str, error: str = "") -> None:
        """Tells which revision runs and why another one does not, unless the server was told so last time. Raises SenderProblem."""
        if (revision, error) == self._told:
            return
        sender = self._sender()
        try:
            await sender.call("POST", "/agents/self/report", {"revision": int(revision or 0), "error": error}, dict)
        finally:
            await sender.close()
        self._told = (revision, error)

    def _sender(self) -> HttpSender:
        return HttpSender(SenderConfig(uri=self._own.server, key=self._own.key))
