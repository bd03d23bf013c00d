"""Routers of this app: `router` below /api/v1/pipe for agents, `view_router` below /api/v1/views for readers.

fustor_site.routers mounts them with their authentication. Handlers read the request, call one service in the lane it belongs to,
and shape the answer.
"""

from ninja import Router

from apps.sessions.api import consistency, events, jobs, pipes, sessions, views

router = Router(tags=["pipe"])
for part in (sessions.router, events.router, consistency.router, jobs.router, pipes.router):
    router.add_router("", part)

view_router = Router(tags=["views"])
view_router.add_router("", views.router)

__all__ = ["router", "view_router"]
