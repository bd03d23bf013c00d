"""`/api/v1/views`: the HTTP edge of the queries. Handlers read parameters, run one query in the query lane, and write its answer.

`request.auth` is a `Principal` (apps.views.access); fustor_site mounts `router` with the authentication.
"""

from apps.views.api import control, feed, insight, read
from apps.views.api.routing import router

__all__ = ["control", "feed", "insight", "read", "router"]
