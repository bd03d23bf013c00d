"""Websocket URLs: one per kind of board."""

from collections.abc import Callable
from typing import Any

from django.urls import path

from apps.sessions.boards.base import Board
from apps.sessions.boards.fleet import FleetBoard
from apps.sessions.boards.job import JobBoard
from apps.sessions.boards.pipe import PipeBoard
from apps.sessions.boards.rollout import RolloutBoard
from apps.sessions.boards.session import SessionBoard
from apps.sessions.boards.view import ViewBoard
from apps.sessions.live.consumers import BoardConsumer


def _live(board_of: Callable[..., Board]) -> Any:
    """The socket of a board. Typed loosely: Django's `path` knows HTTP views only, Channels' URLRouter takes ASGI applications."""
    return BoardConsumer.as_asgi(board_of=board_of)


websocket_urlpatterns = [
    path("ws/fleet", _live(FleetBoard)),
    path("ws/pipe/<slug:slug>", _live(PipeBoard)),
    path("ws/pipe/<slug:slug>/<int:page>", _live(PipeBoard)),
    path("ws/view/<slug:slug>", _live(ViewBoard)),
    path("ws/job/<uuid:id>", _live(JobBoard)),
    path("ws/session/<int:number>", _live(SessionBoard)),
    path("ws/rollout/<int:number>", _live(RolloutBoard)),
]
