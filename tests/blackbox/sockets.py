"""Bare connections: whether the server has cut one off."""

import select
import socket


def is_open(connection: socket.socket) -> bool:
    """Whether a connection over which the server has sent nothing is still there."""
    return not select.select([connection], [], [], 0)[0]
