"""TCP ports: is one free, and which one is. Used by `manage.py up` and by the tests."""

import errno
import secrets
import socket

# below what kernels give to outgoing connections, which would take a port between its choice and its use
FIRST_CHOSEN, LAST_CHOSEN = 10_000, 32_000
MOST_TRIES = 100


def trouble(host: str, port: int) -> str:
    """Why a server cannot listen there, in words and with what to do; empty when it can."""
    if not 0 < port < 65536:
        return f"{port} is not a port; ports go from 1 to 65535."
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, protocol) as probe:
            # a port whose last connections are still closing is free, a listening one is not
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror:
        return f"{host} is not an address of this machine. Choose another: --host 127.0.0.1"
    except OSError as error:
        return _reason(error, host, port)
    return ""


def free(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago, and that nobody is given by chance meanwhile. Raises OSError when none is found."""
    reason = ""
    for _ in range(MOST_TRIES):
        port = FIRST_CHOSEN + secrets.randbelow(LAST_CHOSEN - FIRST_CHOSEN)
        reason = trouble(host, port)
        if not reason:
            return port
    raise OSError(reason)


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program. Choose another: make run PORT={port + 1}"
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}. Choose one above 1023: make run PORT=8000"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine. Choose another: --host 127.0.0.1"
    return f"Cannot listen on {host} port {port}: {error.strerror}."
