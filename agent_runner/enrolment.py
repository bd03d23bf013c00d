"""How a host becomes an agent: it asks with a token, somebody approves, it gets a key of its own. Used by `run --token`."""

import asyncio
import secrets
import socket
from typing import Any

import msgspec

from agent_runner import log
from agent_runner.config import SenderConfig
from agent_runner.error_recovery import Recovery
from agent_runner.home import Home
from agent_runner.problems import Busy, NotAuthorized, Unreachable
from agent_runner.senders.http import HttpSender
from agent_runner.version import VERSION

POLL_SECONDS = 3.0
_log = log.get("enrolment")


class Claim(msgspec.Struct, frozen=True):
    """What this installation asks with: kept, so that asking again is the same request. `key` once it was approved."""

    fingerprint: str
    secret: str
    key: str = ""


class _Answer(msgspec.Struct):
    request_id: str | int
    state: str
    key: str = ""


def kept_key(home: Home) -> str:
    """The key that an earlier enrolment got; empty when there was none."""
    return _claim(home).key


async def enrol(server: str, token: str, agent_id: str, home: Home) -> str:
    """Asks until the request is approved. Returns the agent's own key, which is kept in the home. Raises NotAuthorized when the
    token is not good or the request was turned down."""
    claim = _claim(home)
    sender = HttpSender(SenderConfig(uri=server, key=token))
    wish = {
        "agent_id": agent_id,
        "fingerprint": claim.fingerprint,
        "claim": claim.secret,
        "hostname": socket.gethostname(),
        "version": VERSION,
    }
    try:
        answer = await _asked(sender, "/agents/enrol", wish)
        while not answer.key:
            _log.info("waiting for approval in the console", request=answer.request_id, state=answer.state)
            await asyncio.sleep(POLL_SECONDS if answer.state != "approved" else 0)
            answer = await _asked(sender, f"/agents/enrol/{answer.request_id}", {"claim": claim.secret})
    finally:
        await sender.close()
    home.write_json(home.path / "claim.json", msgspec.structs.replace(claim, key=answer.key))
    _log.info("enrolled", agent_id=agent_id)
    return answer.key


async def _asked(sender: HttpSender, path: str, body: dict[str, Any]) -> _Answer:
    recovery = Recovery()
    while True:
        try:
            return await sender.call("POST", path, body, _Answer)
        except (Unreachable, Busy) as problem:
            await asyncio.sleep(recovery.failed(problem))
        except NotAuthorized as problem:
            fix = "Make a new enrolment token in the console under Agents, or ask who turned this down."
            raise NotAuthorized(str(problem), fix) from problem


def _claim(home: Home) -> Claim:
    path = home.path / "claim.json"
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Claim)
    made = Claim(fingerprint=secrets.token_hex(16), secret=secrets.token_urlsafe(32))
    home.write_json(path, made)
    return made
