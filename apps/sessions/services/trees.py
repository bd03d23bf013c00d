"""Which trees a pipe feeds, and which pipes feed a tree. Called by every other service of this app.

An `fs` view has one tree with scope ""; a forest has one tree per pipe, with the pipe's slug as scope (R51).
"""

from django.db.models import Q, QuerySet

from apps.pipes.models import Pipe
from apps.views.models import Tree, ViewDriver
from apps.views.services import ensure_tree


def scope_of(driver: str, pipe: Pipe) -> str:
    """The scope, within a view of this driver, that the pipe's sessions work on."""
    return pipe.slug if driver == ViewDriver.FS_FOREST else ""


def ensure_trees(pipe: Pipe) -> list[Tree]:
    """The trees of the pipe's views that are switched on, made where they are missing, in id order (the order of locking)."""
    views = pipe.views.filter(enabled=True)
    return sorted((ensure_tree(view, scope_of(view.driver, pipe)) for view in views), key=lambda tree: tree.pk)


def trees_of(pipe: Pipe) -> list[Tree]:
    """The trees that exist already, in id order, with their views."""
    forest = Q(view__driver=ViewDriver.FS_FOREST)
    return list(
        Tree.objects.filter(view__pipes=pipe, view__enabled=True)
        .filter((forest & Q(scope=pipe.slug)) | (~forest & Q(scope="")))
        .select_related("view")
        .order_by("pk")
    )


def pipes_feeding(tree: Tree) -> QuerySet[Pipe]:
    """The pipes whose sessions may lead the tree: switched on, with their receiver."""
    pipes = Pipe.objects.filter(views=tree.view_id, enabled=True, receiver__enabled=True)
    return pipes.filter(slug=tree.scope) if tree.view.driver == ViewDriver.FS_FOREST else pipes
