"""Bare connections: whether the server has cut one off."""

import select
import socket


def is_open(connection: socket.socket) -> bool:
    """Whether a connection over which the server has sent nothing is still there."""
    return not select.select([connection], [], [], 0)[0]


def is_established(connection: socket.socket) -> bool:
    """Whether a connection, with whatever waits in it to be read, is still there. Linux."""
    state: int = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]  # type: ignore[index]  # a length was given: bytes
    return state == 1
