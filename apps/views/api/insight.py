"""The questions that are ours: is it settled, why is it so, where is it, who uses how much, how do copies differ."""

from django.http import HttpResponseBase
from ninja import Field, Query

from apps.runtime import clock
from apps.runtime.lanes import Lane, run
from apps.runtime.problems import Invalid
from apps.views import access
from apps.views.api.answers import answer
from apps.views.api.params import PathParams, Request, Text
from apps.views.api.read import PROBLEMS, asked_of
from apps.views.api.routing import router
from apps.views.api.schemas import (
    ComparisonOut,
    ExplainOut,
    ForestExplainOut,
    ForestSettledOut,
    ForestUsageOut,
    PlacesOut,
    SettledOut,
    UsageOut,
)
from apps.views.queries import forest_insight, forests, matching, scope, usage, whole_forest
from apps.views.queries.explain import explain
from apps.views.queries.locate import locate
from apps.views.queries.search import SearchQuestion
from apps.views.queries.settled import settled
from fustor_schema import paths


class SettledParams(PathParams):
    """Which node, and how long it must have been quiet."""

    quiet_seconds: float | None = Field(None, ge=0, le=86_400 * 366, description="Default: the view's hot_file_threshold")


class LocateParams(PathParams):
    """What to look for: a `name` (a pattern), or exactly one `path`."""

    name: Text | None = Field(None, min_length=1, max_length=4096)
    mode: matching.Mode = matching.Mode.AUTO
    ignore_case: bool = False
    kind: str | None = None
    limit: int = Field(20, ge=1, le=500, description="Most hits per view")
    quiet_seconds: float | None = Field(None, ge=0, le=86_400 * 366)


class UsageParams(PathParams):
    """Which subtree, by what."""

    by: usage.By = usage.By.OWNER
    cursor: str | None = None


class CompareParams(PathParams):
    """Which path, which entries."""

    only_differences: bool = False
    limit: int = Field(1000, ge=1, le=10_000)
    cursor: str | None = None


@router.get("/locate", response={200: PlacesOut, **PROBLEMS}, summary="Where is it, in every view this key may read")
async def get_locate(request: Request, params: Query[LocateParams]) -> HttpResponseBase:
    """Hits with their verdict. `unsearched` names the trees that could not be searched to their end."""
    return await run(Lane.QUERY, _locate, request, params)


def _locate(request: Request, params: LocateParams) -> HttpResponseBase:
    query = request.META.get("QUERY_STRING", "")
    question: SearchQuestion | str
    if params.name is not None:
        filters = matching.Filters(kind=params.kind)
        question = SearchQuestion(matching.Pattern(params.name, params.mode, params.ignore_case), filters=filters)
    elif "path" in request.GET or "path_b64" in request.GET:
        question = scope.requested_path(query)
    else:
        raise Invalid("Say what to look for.", field="name", fix="Give name=<text or glob>, or path=<exact path>.")
    return answer(locate(request.auth, question, params.limit, params.quiet_seconds, clock.now()))


@router.get("/{view_id}/settled", response={200: SettledOut | ForestSettledOut, **PROBLEMS}, summary="Is this subtree complete?")
async def get_settled(request: Request, view_id: str, params: Query[SettledParams]) -> HttpResponseBase:
    """`settled`, `changing` or `unknown`, with reasons and evidence. A whole forest is settled where all its members are."""
    return await run(Lane.QUERY, _settled, request, view_id, params)


def _settled(request: Request, view_id: str, params: SettledParams) -> HttpResponseBase:
    view, tree, key = asked_of(request, view_id, params.member)
    if tree is None:
        return answer(whole_forest.settled_all(view, key, params.quiet_seconds, clock.now()))
    return answer(settled(tree, key, params.quiet_seconds, clock.now()), tree)


@router.get("/{view_id}/explain", response={200: ExplainOut | ForestExplainOut, **PROBLEMS}, summary="Why the view says so")
async def get_explain(request: Request, view_id: str, params: Query[PathParams]) -> HttpResponseBase:
    """The rule, session and time that decided a path; what was refused lately and why. Absent paths are explained too.

    Of a whole forest: the explanation of every member.
    """
    return await run(Lane.QUERY, _explain, request, view_id, params)


def _explain(request: Request, view_id: str, params: PathParams) -> HttpResponseBase:
    view, tree, key = asked_of(request, view_id, params.member)
    if tree is None:
        return answer(*forest_insight.explain_all(view, key, clock.now()))
    return answer({"view_id": view.slug, **explain(tree, key)}, tree)


@router.get("/{view_id}/usage", response={200: UsageOut | ForestUsageOut, **PROBLEMS}, summary="Files and bytes by owner or by age")
async def get_usage(request: Request, view_id: str, params: Query[UsageParams]) -> HttpResponseBase:
    """By owner: stored totals. By age: counted; `next_cursor` when one request's time was up, then add up the answers.

    Of a whole forest: all members together, and each by itself.
    """
    return await run(Lane.QUERY, _usage, request, view_id, params)


def _usage(request: Request, view_id: str, params: UsageParams) -> HttpResponseBase:
    view, tree, key = asked_of(request, view_id, params.member)
    if tree is None:
        if params.by is usage.By.OWNER:
            return answer(*forest_insight.usage_by_owner(view, key, clock.now()))
        found, freshness = forest_insight.usage_by_age(view, key, params.cursor, clock.now())
        return answer(found, freshness, next_cursor=found["next_cursor"])
    if params.by is usage.By.OWNER:
        return answer(usage.by_owner(tree, key), tree)
    return answer(usage.by_age(tree, key, params.cursor, clock.now()), tree)


@router.get("/{view_id}/compare", response={200: ComparisonOut, **PROBLEMS}, summary="A path in every member of a forest")
async def get_compare(request: Request, view_id: str, params: Query[CompareParams]) -> HttpResponseBase:
    """The entries of a directory side by side. What a member cannot be asked about is `unknown`, never `missing`."""
    return await run(Lane.QUERY, _compare, request, view_id, params)


def _compare(request: Request, view_id: str, params: CompareParams) -> HttpResponseBase:
    view = access.readable_view(request.auth, view_id)
    if not scope.is_forest(view):
        raise Invalid(f"View {view_id} is no forest; it has one copy only.", field="view_id")
    key = scope.requested_path(request.META.get("QUERY_STRING", ""))
    behind = _name_behind(params.cursor)
    found = forests.compare(view, key, behind, params.limit, only_differences=params.only_differences, now=clock.now())
    return answer(found, next_cursor=found.next_cursor)


def _name_behind(cursor: str | None) -> str:
    """The name behind which a comparison goes on. Raises Invalid."""
    if not cursor:
        return ""
    try:
        return paths.name(paths.from_base64(cursor))
    except paths.PathError as error:
        raise Invalid("This cursor was not made by this server.", field="cursor", fix="Start again without a cursor.") from error
