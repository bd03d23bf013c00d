"""From the URL of a view's page to what it is about: the view, one of its trees, a path. Used by every page of apps.views."""

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest

from apps.runtime.problems import Problem
from apps.views.access import Principal
from apps.views.models import Tree, View
from apps.views.ports import ports
from apps.views.queries import scope
from fustor_schema import paths


@dataclass(frozen=True)
class Place:
    """Where the reader is. `tree` is None while no session ever fed the view. `scopes`: the members of a forest."""

    view: View
    tree: Tree | None
    scopes: tuple[str, ...]
    key: str
    is_whole: bool

    @property
    def scope(self) -> str:
        """The member that the reader chose; empty for a whole forest, and for a view that is none."""
        return "" if self.is_whole or self.tree is None else self.tree.scope

    @property
    def field(self) -> tuple[str, str]:
        """The name and value of the parameter that carries the path without loss (R34)."""
        return ("path_b64", paths.to_base64(self.key)) if paths.is_escaped(self.key) else ("path", self.key)


def reader(request: HttpRequest) -> Principal:
    """The person who asks, as a principal; every page asked for a login before."""
    assert not isinstance(request.user, AnonymousUser)
    return ports.person(request.user)


def place_of(request: HttpRequest, slug: str) -> Place:
    """The place that the URL names. Http404 for a view that is not there or not to be seen, and for a path that cannot be."""
    view = reader(request).readable_views().filter(slug=slug).first()
    if view is None:
        raise Http404(f"There is no view {slug}.")
    trees = list(view.trees.order_by("scope"))
    wanted = request.GET.get("scope", "")
    chosen = next((tree for tree in trees if tree.scope == wanted), trees[0] if trees else None)
    scopes = tuple(tree.scope for tree in trees if tree.scope)
    return Place(view, chosen, scopes, _key(request), is_whole=bool(scopes) and wanted not in scopes)


def _key(request: HttpRequest) -> str:
    try:
        return scope.requested_path(request.META.get("QUERY_STRING", ""))
    except Problem as problem:
        raise Http404(problem.detail) from problem
