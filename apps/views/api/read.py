"""The V2 questions: views, tree, stats, search, metadata, blind spots, suspects."""

from typing import Any, NamedTuple

from django.http import HttpResponseBase
from ninja import Field, Query

from apps.runtime import clock
from apps.runtime.lanes import Lane, run
from apps.runtime.problems import NotFound
from apps.views import access
from apps.views.api.answers import answer, over_members, streamed, written
from apps.views.api.params import MAX_INTEGER, Moment, PagedPathParams, PageParams, PathParams, Request, Size, Text
from apps.views.api.routing import router
from apps.views.api.schemas import (
    BlindSpotsOut,
    CopiesOut,
    ForestStatsOut,
    ForestTreeOut,
    NodeOut,
    OutlineOut,
    ProblemOut,
    StatsOut,
    SuspectOut,
    TreeOut,
    ViewsOut,
)
from apps.views.forest import Best
from apps.views.models import Tree, View
from apps.views.ports import ports
from apps.views.queries import forests, lookup, matching, scope, search, tree, views, whole_forest
from apps.views.queries.blind_spots import blind_spots
from apps.views.queries.stats import stats_answer
from apps.views.queries.suspects import suspects

PROBLEMS: Any = {(401, 403, 404, 410, 422, 503): ProblemOut}
# shapes made at run time, which a type checker cannot read
NODES: Any = list[NodeOut]  # type: ignore[valid-type]
SUSPECTS: Any = list[SuspectOut]  # type: ignore[valid-type]
# up to here a nested tree is sent at once, with its length
WHOLE_NODES = 2_000


class TreeParams(PathParams):
    """Which part of the tree, and how."""

    recursive: bool = True
    max_depth: int | None = Field(None, ge=0, le=MAX_INTEGER, description="Levels below the node")
    only_path: bool = False
    on_demand_scan: bool = Field(False, description="Also ask the source to look again; answers with `job_id`")
    limit: int | None = Field(None, ge=1, le=10_000, description="Answer in flat pages of at most so many nodes")
    cursor: str | None = None
    best: Best | None = Field(None, description="In a forest: only the member with the most of it")

    @property
    def depth(self) -> int | None:
        """Levels below the node that are shown; None: all."""
        return self.max_depth if self.recursive else min(1, 1 if self.max_depth is None else self.max_depth)


class StatsParams(PathParams):
    """Which subtree."""

    best: Best | None = Field(None, description="In a forest: what makes a member the best; default file_count")


class SearchParams(PageParams):
    """What to look for and what else a hit must be."""

    pattern: Text = Field(..., min_length=1, max_length=4096, description="Text in the name, or glob on name or path")
    mode: matching.Mode = matching.Mode.AUTO
    ignore_case: bool = Field(False, description="ASCII letters only")
    path: str = Field("/", description="Only below this path")
    path_b64: str | None = None
    member: Text | None = None
    kind: str | None = None
    min_size: Size | None = None
    max_size: Size | None = None
    modified_after: Moment | None = None
    modified_before: Moment | None = None
    suspect: bool | None = None
    agent_missing: bool | None = None
    uid: Size | None = None

    def question(self, key: str) -> search.SearchQuestion:
        """The question these parameters ask below a path."""
        filters = matching.Filters(
            self.kind,
            self.min_size,
            self.max_size,
            self.modified_after,
            self.modified_before,
            self.suspect,
            self.agent_missing,
            self.uid,
        )
        return search.SearchQuestion(matching.Pattern(self.pattern, self.mode, self.ignore_case), key, filters)


class Asked(NamedTuple):
    """What a question is about: the view, one of its trees (None: all members of a forest), the path."""

    view: View
    tree: Tree | None
    key: str


def asked_of(request: Request, view_id: str, member: str | None) -> Asked:
    """What a request is about. Raises what the edges render."""
    view = access.readable_view(request.auth, view_id)
    key = scope.requested_path(request.META.get("QUERY_STRING", ""))
    is_whole = member is None and scope.is_forest(view)
    return Asked(view, None if is_whole else scope.complete_tree(view, member), key)


@router.get("", response={200: ViewsOut, **PROBLEMS}, summary="The views this key may read")
async def list_views(request: Request) -> HttpResponseBase:
    """Views with their freshness."""
    return await run(Lane.QUERY, lambda: answer(views.listing(request.auth, clock.now())))


@router.get("/{view_id}/tree", response={200: TreeOut | OutlineOut | ForestTreeOut, **PROBLEMS}, summary="A node with its subtree")
async def get_tree(request: Request, view_id: str, params: Query[TreeParams]) -> HttpResponseBase:
    """Nested (`children`), streamed when big; with `limit` or `cursor` in flat pages."""
    return await run(Lane.QUERY, _tree, request, view_id, params)


def _tree(request: Request, view_id: str, params: TreeParams) -> HttpResponseBase:
    view, stored, key = asked_of(request, view_id, params.member)
    question = tree.TreeQuestion(key, params.depth, params.only_path)
    if stored is None:
        return streamed(forests.trees(view, question, params.best, clock.now()))
    job = _job(request, view, key, params)
    try:
        if params.limit is None and params.cursor is None:
            top = lookup.directory_row(stored, key)
            whole = top is None or top[3] + top[4] <= WHOLE_NODES
            return written(tree.written(stored, question, {**job, "as_of_seq": stored.change_seq}, top), stored, whole=whole)
        return _tree_page(stored, question, params, job)
    except NotFound as error:
        error.extra = job if params.on_demand_scan else {}
        raise


def _job(request: Request, view: View, key: str, params: TreeParams) -> dict[str, Any]:
    """`job_id` and `job_pending`: the scan that this request asked for, or one that is under way."""
    if params.on_demand_scan:
        access.check_scan(request.auth, view)
        asked = ports.request_scan(view, key, params.recursive, request.auth.name)
        return {"job_id": asked, "job_pending": True}
    pending = ports.pending_scan(view, key)
    return {"job_id": pending, "job_pending": pending is not None}


def _tree_page(stored: Tree, question: tree.TreeQuestion, params: TreeParams, job: dict[str, Any]) -> HttpResponseBase:
    page = tree.page(stored, question, params.cursor, params.limit or 1000)
    top = tree.shown(lookup.node_at(stored, question.key), question)
    extra = {**job, "next_cursor": page.next_cursor, "as_of_seq": page.as_of_seq, "children": page.children}
    return answer(tree.with_fields(top, extra), stored, next_cursor=page.next_cursor, as_of_seq=page.as_of_seq)


@router.get("/{view_id}/stats", response={200: StatsOut | ForestStatsOut, **PROBLEMS}, summary="Figures of a subtree")
async def get_stats(request: Request, view_id: str, params: Query[StatsParams]) -> HttpResponseBase:
    """Counts, sizes, ages, flags and freshness."""
    return await run(Lane.QUERY, _stats, request, view_id, params)


def _stats(request: Request, view_id: str, params: StatsParams) -> HttpResponseBase:
    view, stored, key = asked_of(request, view_id, params.member)
    if stored is None:
        return answer(forests.stats(view, key, params.best or Best.FILE_COUNT, clock.now()))
    return answer({"view_id": view.slug, **stats_answer(stored, key, clock.now())}, stored)


@router.get("/{view_id}/search", response={200: NODES, **PROBLEMS}, summary="Nodes by name or path")
async def get_search(request: Request, view_id: str, params: Query[SearchParams]) -> HttpResponseBase:
    """A list of nodes; the header `X-Fustor-Next-Cursor` is there when more may follow."""
    return await run(Lane.QUERY, _search, request, view_id, params)


def _search(request: Request, view_id: str, params: SearchParams) -> HttpResponseBase:
    view, stored, key = asked_of(request, view_id, params.member)
    if stored is None:
        page = whole_forest.search_all(view, params.question(key), params.cursor, params.limit, clock.now())
        return over_members(page.entries, page)
    hits = search.search(stored, params.question(key), params.cursor, params.limit)
    return answer(hits.nodes, stored, next_cursor=hits.next_cursor, as_of_seq=hits.as_of_seq)


@router.get("/{view_id}/metadata", response={200: NodeOut | CopiesOut, **PROBLEMS}, summary="One node")
async def get_metadata(request: Request, view_id: str, params: Query[PathParams]) -> HttpResponseBase:
    """The node without its subtree. Of a whole forest: the node in every member, and in what the copies differ."""
    return await run(Lane.QUERY, _metadata, request, view_id, params)


def _metadata(request: Request, view_id: str, params: PathParams) -> HttpResponseBase:
    view, stored, key = asked_of(request, view_id, params.member)
    if stored is None:
        return answer(*forests.copies(view, key, clock.now()))
    return answer(lookup.node_at(stored, key), stored)


@router.get("/{view_id}/blind-spots", response={200: BlindSpotsOut, **PROBLEMS}, summary="What only scans saw")
async def get_blind_spots(request: Request, view_id: str, params: Query[PagedPathParams]) -> HttpResponseBase:
    """Open blind spots at the path and below it."""
    return await run(Lane.QUERY, _blind_spots, request, view_id, params)


def _blind_spots(request: Request, view_id: str, params: PagedPathParams) -> HttpResponseBase:
    view, stored, key = asked_of(request, view_id, params.member)
    if stored is None:
        spots, listed = whole_forest.blind_spots_all(view, key, params.cursor, params.limit, clock.now())
        return over_members(spots, listed)
    page = blind_spots(stored, key, params.cursor, params.limit)
    return answer(page, stored, next_cursor=page.next_cursor, as_of_seq=page.as_of_seq)


@router.get("/{view_id}/suspect-list", response={200: SUSPECTS, **PROBLEMS}, summary="What may still be being written")
async def get_suspects(request: Request, view_id: str, params: Query[PagedPathParams]) -> HttpResponseBase:
    """A list by path; the header `X-Fustor-Next-Cursor` is there when more follow."""
    return await run(Lane.QUERY, _suspects, request, view_id, params)


def _suspects(request: Request, view_id: str, params: PagedPathParams) -> HttpResponseBase:
    view, stored, key = asked_of(request, view_id, params.member)
    if stored is None:
        listed = whole_forest.suspects_all(view, key, params.cursor, params.limit, clock.now())
        return over_members(listed.entries, listed)
    page = suspects(stored, key, params.cursor, params.limit)
    return answer(page.entries, stored, next_cursor=page.next_cursor, as_of_seq=page.as_of_seq)
