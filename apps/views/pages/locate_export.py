"""What Locate found as CSV (`/locate/export/?q=…`): every place with its verdict, and which views were not searched to the end."""

from collections.abc import Iterator
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from apps.runtime import clock
from apps.runtime.console import page
from apps.runtime.problems import Problem
from apps.runtime.spreadsheet import line
from apps.views.pages.place import reader
from apps.views.pages.search import question_of
from apps.views.queries.locate import Hit, Places, locate
from apps.views.queries.nodes import DirectoryNode

MOST_PER_VIEW = 5000
COLUMNS = ("view", "member", "path", "kind", "bytes", "files", "modified", "state", "quiet for seconds", "reasons")
UNSEARCHED = "not searched to the end"


@page()
@require_GET
def export(request: HttpRequest) -> HttpResponse:
    """At most MOST_PER_VIEW places per view; a view with more has a line that says so."""
    words = request.GET.get("q", "").strip()
    try:
        found = locate(reader(request), question_of(words), MOST_PER_VIEW, None, clock.now()) if words else None
    except Problem as problem:
        return HttpResponse(problem.detail, status=problem.status, content_type="text/plain; charset=utf-8")
    response = HttpResponse("".join(_lines(found)), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="places.csv"'
    return response


def _lines(found: Places | None) -> Iterator[str]:
    yield line(COLUMNS)
    if found is None:
        return
    for hit in found.hits:
        yield line(_row(hit))
    for miss in found.unsearched:
        yield line([miss.view_id, miss.member, "", "", "", "", "", UNSEARCHED, "", miss.reason])


def _row(hit: Hit) -> list[object]:
    node = hit.node
    octets, files = (node.total_size, node.total_files) if isinstance(node, DirectoryNode) else (node.size, None)
    reasons = "; ".join(reason["detail"] for reason in hit.reasons)
    quiet = round(hit.quiet_for_seconds, 1)
    return [hit.view_id, hit.member, node.path, node.kind, octets, files, _iso(node.modified_time), hit.state, quiet, reasons]


def _iso(seconds: float | None) -> str | float | None:
    """ISO 8601 in UTC; storage knows times that no calendar holds, and these stay Unix seconds."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return seconds
