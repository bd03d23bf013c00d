"""Numbers over time for the plots of the console: changes per minute, of one view or of all that the reader may see."""

from typing import Any

from django.db.models import F, Sum
from django.http import HttpRequest, JsonResponse

from apps.runtime import clock
from apps.runtime.console import page
from apps.views.models import ChangeBatch
from apps.views.pages.place import reader

MINUTE_MS = 60_000
SPANS = {"1h": 60, "24h": 1440}
# a plot of a day has a point per 15 minutes
MINUTES_PER_POINT = {"1h": 1, "24h": 15}


@page()
def changes(request: HttpRequest) -> JsonResponse:
    """`/series/changes/?span=1h|24h&view=<id>`: `{"at": [Unix seconds …], "changes": [per minute …]}`, oldest first."""
    span = request.GET.get("span", "1h")
    span = span if span in SPANS else "1h"
    views = reader(request).readable_views()
    if slug := request.GET.get("view"):
        views = views.filter(slug=slug)
    step = MINUTES_PER_POINT[span] * MINUTE_MS
    last = clock.now_ms() // step
    first = last - SPANS[span] * MINUTE_MS // step + 1
    counted = _counts(views, first, step)
    points = range(first, last + 1)
    return JsonResponse(
        {
            "at": [point * step / 1000 for point in points],
            "changes": [round(counted.get(point, 0) / MINUTES_PER_POINT[span], 2) for point in points],
        }
    )


def _counts(views: Any, first: int, step: int) -> dict[int, int]:
    """Changes by point: the point is the time divided by the step, as whole numbers."""
    batches = ChangeBatch.objects.filter(tree__view__in=views, at__gte=first * step)
    return dict(batches.annotate(point=F("at") / step).order_by().values_list("point").annotate(Sum("count")))
