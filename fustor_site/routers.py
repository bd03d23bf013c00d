"""Which router of which app answers under which prefix of `/api/v1`. Used by fustor_site.api."""

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from ninja import Router

MOUNTS = (
    ("/pipe", "apps.sessions.api", "router"),
    ("/views", "apps.sessions.api", "view_router"),
    ("/views", "apps.views.api", "router"),
    ("/manage", "apps.pipes.api", "router"),
)


def routers() -> Iterator[tuple[str, Router]]:
    """(prefix, router) in the order in which paths are tried."""
    for prefix, module, name in MOUNTS:
        if find_spec(module):
            yield prefix, getattr(import_module(module), name)
