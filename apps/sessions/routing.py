"""Websocket URLs: one per kind of board."""

from django.urls import path

from apps.sessions.boards.fleet import FleetBoard
from apps.sessions.boards.job import JobBoard
from apps.sessions.boards.pipe import PipeBoard
from apps.sessions.boards.session import SessionBoard
from apps.sessions.boards.view import ViewBoard
from apps.sessions.live.consumers import BoardConsumer

websocket_urlpatterns = [
    path("ws/fleet", BoardConsumer.as_asgi(board_of=FleetBoard)),
    path("ws/pipe/<slug:slug>", BoardConsumer.as_asgi(board_of=PipeBoard)),
    path("ws/view/<slug:slug>", BoardConsumer.as_asgi(board_of=ViewBoard)),
    path("ws/job/<uuid:id>", BoardConsumer.as_asgi(board_of=JobBoard)),
    path("ws/session/<int:number>", BoardConsumer.as_asgi(board_of=SessionBoard)),
]
