"""A world of one test: its own receiver, pipes, view and keys on the running server, and clients that speak to it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from apps.pipes.keys import create_key
from apps.pipes.models import KeyKind, Pipe, PipeView, Receiver
from apps.views.models import View
from tests.blackbox.client import Reader, V2Client
from tests.blackbox.processes import RunningServer


@contextmanager
def server_database(server: RunningServer) -> Iterator[None]:
    """Let the ORM of the test process talk to the server's database, so tests can set things up and look inside."""
    before = connection.settings_dict["NAME"]
    _switch(server.database.name)
    try:
        yield
    finally:
        _switch(before)


def _switch(name: str) -> None:
    connection.close()
    if hasattr(connection, "close_pool"):
        connection.close_pool()
    connection.settings_dict["NAME"] = name


class World:
    """Receiver → `pipes` pipes → one view of `driver`. `view` and `pipe` are column values of the view and of each pipe.

    `world.pipe`, `world.view`, `world.receiver` are the rows; `world.client("a:p")` pushes, `world.reader` asks the view.
    """

    def __init__(
        self,
        server: RunningServer,
        *,
        driver: str = "fs",
        pipes: int = 1,
        view: dict[str, Any] | None = None,
        pipe: dict[str, Any] | None = None,
    ) -> None:
        name = f"t{uuid.uuid4().hex[:10]}"
        self.server = server
        self.receiver = Receiver.objects.create(slug=f"{name}-receiver")
        self.view = View.objects.create(slug=f"{name}-view", driver=driver, **(view or {}))
        self.pipes = [self._pipe(f"{name}-pipe{number}", pipe or {}) for number in range(1, pipes + 1)]
        self.pipe = self.pipes[0]
        self._keys = [self._receiver_key(pipe) for pipe in self.pipes]
        self.key = self._keys[0]
        self.query_key = create_key(KeyKind.QUERY, views=[self.view])[1]
        self.reader = Reader(server.url, self.view.slug, self.query_key)
        self._clients: list[V2Client] = []

    def client(self, task: str = "agent:pipe", *, pipe: int = 1) -> V2Client:
        """A V2 agent with the receiver key of the n-th pipe. It has no session yet."""
        self._clients.append(V2Client(self.server.url, self._keys[pipe - 1], self.view.slug, self.query_key, task))
        return self._clients[-1]

    def close(self) -> None:
        """End the sessions that are still open and switch everything off, so the server is quiet for the next test.

        What is on costs the server's housekeeping something every second: hundreds of worlds would keep a processor busy.
        """
        for client in self._clients:
            client.close()
        self.reader.close()
        Pipe.objects.filter(pk__in=[pipe.pk for pipe in self.pipes]).update(enabled=False)
        View.objects.filter(pk=self.view.pk).update(enabled=False)

    def _pipe(self, slug: str, columns: dict[str, Any]) -> Pipe:
        pipe = Pipe.objects.create(slug=slug, receiver=self.receiver, **columns)
        PipeView.objects.create(pipe=pipe, view=self.view)
        return pipe

    def _receiver_key(self, pipe: Pipe) -> str:
        secret: str = create_key(KeyKind.RECEIVER, receiver=self.receiver, pipes=[pipe])[1]
        return secret
