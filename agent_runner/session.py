"""The session of one AgentPipe with its server: asked for, known, given back. One at a time. Used by pipe.py and pipe_jobs.py."""

import asyncio
import contextlib
import os
import socket
from typing import Any

from agent_runner import clock, log
from agent_runner.config import PipeConfig
from agent_runner.drivers import Grant, Sender, Source
from agent_runner.host import Host
from agent_runner.mount import Mount
from agent_runner.problems import SenderProblem
from agent_runner.version import VERSION
from fustor_schema.sources import PROTOCOL_V3, Role

CLOSE_SECONDS = 2.0


class Session:
    """`grant`: what the server granted last, None before the first session; `role`: the one it told last."""

    def __init__(self, config: PipeConfig, host: Host, source: Source, sender: Sender, mount: Mount) -> None:
        self._config, self._host, self._source, self._sender, self._mount = config, host, source, sender, mount
        self._log = log.get("session").bind(pipe=config.id)
        self._server_clock: clock.ServerClock | None = None
        self.task_id = f"{host.agent_id}:{config.id}"
        self.grant: Grant | None = None
        self.role = Role.FOLLOWER.value

    async def open(self) -> Grant:
        """Opens a session for the storage that is mounted now. Raises SenderProblem."""
        await self._mount.settle()
        await self._host.worker_ready()
        asked = clock.monotonic_ms()
        grant = await self._sender.open_session(self._request())
        self.grant, self.role = grant, grant.role
        if "server_ms" in grant.offset_probe:
            self._server_clock = clock.ServerClock(grant.offset_probe["server_ms"], (asked + clock.monotonic_ms()) / 2)
        self._log.info("session open", role=grant.role, protocol=grant.protocol, epoch=grant.epoch)
        return grant

    async def close(self) -> None:
        """Tells the server that it is over, when it listens."""
        if self.grant is not None:
            with contextlib.suppress(SenderProblem, TimeoutError):
                await asyncio.wait_for(self._sender.close_session(self.grant.session_id), CLOSE_SECONDS)

    def take_role(self, role: str) -> None:
        """The server told the role anew."""
        if role != self.role:
            self._log.info("role changed", role=role)
        self.role = role

    def is_leader(self) -> bool:
        """True when this session is the one that scans."""
        return self.role == Role.LEADER

    def clock_ahead_ms(self) -> int:
        """By how much the server's clock is ahead of this host's, in milliseconds; 0 while that is not known."""
        return self._server_clock.ahead_ms() if self._server_clock is not None else 0

    def health(self) -> dict[str, Any]:
        """The session's part of the health report."""
        return {"role": self.role, "clock_offset_seconds": round(self.clock_ahead_ms() / 1000, 1)}

    def _request(self) -> dict[str, Any]:
        hostname = socket.gethostname()
        request: dict[str, Any] = {
            "task_id": self.task_id,
            "source_type": self._source.driver,
            "client_info": {
                "source_uri": self._source.uri,
                "hostname": hostname,
                "agent_version": VERSION,
                "allow_commands": list(self._host.allowed_commands),
            },
            "protocol": PROTOCOL_V3,
            "sent_at": clock.monotonic_ms(),
            "root_id": self._mount.root_id,
            "host": {"hostname": hostname, "version": VERSION, "pid": os.getpid(), **self._mount.facts},
            "job_queue": self._host.job_queue(),
        }
        if self._config.session_timeout_seconds:
            request["session_timeout_seconds"] = self._config.session_timeout_seconds
        if self._config.server_pipe:
            request["pipe_id"] = self._config.server_pipe
        return request
