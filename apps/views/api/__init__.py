"""`/api/v1/views`: the HTTP edge of the queries. Handlers read parameters, run one query in the query lane, and write its answer.

`request.auth` is a `Principal` (apps.views.access); fustor_site mounts the router with the authentication.
"""

from ninja import Router

from apps.views.api import read

router = Router(tags=["views"])
router.add_router("", read.router)

__all__ = ["router"]
