"""Websocket URLs, one per kind of board, and the way to them for people and for programs."""

from collections.abc import Awaitable, Callable
from typing import Any

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.urls import path

from apps.sessions.boards.agent import AgentBoard
from apps.sessions.boards.base import Board
from apps.sessions.boards.fleet import FleetBoard
from apps.sessions.boards.job import JobBoard
from apps.sessions.boards.pipe import PipeBoard
from apps.sessions.boards.rollout import RolloutBoard
from apps.sessions.boards.session import SessionBoard
from apps.sessions.boards.view import ViewBoard
from apps.sessions.live.consumers import BoardConsumer
from apps.sessions.live.readers import key_in

Application = Callable[[Any, Any, Any], Awaitable[None]]


def _live(board_of: type[Board]) -> Any:
    """The socket of a board. Typed loosely: Django's `path` knows HTTP views only, Channels' URLRouter takes ASGI applications."""
    return BoardConsumer.as_asgi(board_of=board_of)


websocket_urlpatterns = [
    path("ws/fleet", _live(FleetBoard)),
    path("ws/pipe/<str:slug>", _live(PipeBoard)),
    path("ws/pipe/<str:slug>/<int:page>", _live(PipeBoard)),
    path("ws/view/<str:slug>", _live(ViewBoard)),
    path("ws/job/<uuid:id>", _live(JobBoard)),
    path("ws/agent/<str:slug>", _live(AgentBoard)),
    path("ws/session/<int:number>", _live(SessionBoard)),
    path("ws/rollout/<int:number>", _live(RolloutBoard)),
]


def websockets() -> Application:
    """The application. A key speaks for itself; a cookie counts only from pages of this server, whatever site the browser is on."""
    sockets = URLRouter(websocket_urlpatterns)
    with_cookie = AllowedHostsOriginValidator(AuthMiddlewareStack(sockets))

    async def application(scope: Any, receive: Any, send: Any) -> None:
        chosen = with_cookie if key_in(dict(scope["headers"])) is None else sockets
        await chosen(scope, receive, send)

    return application
