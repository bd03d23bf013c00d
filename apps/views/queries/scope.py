"""From a request to what it asks about: the path as bytes, the tree of the view, the 503 before it is complete."""

from urllib.parse import parse_qsl

from apps.runtime.problems import Invalid, NotFound, Unavailable
from apps.views.models import Tree, View, ViewDriver
from apps.views.store import trees
from fustor_schema import paths

RETRY_AFTER_SECONDS = 5


def requested_path(query_string: str, parameter: str = "path") -> str:
    """The key that `path_b64` or `path` of a query string names; the root when neither is given (R34).

    Read from the raw query string: percent-encoded bytes that are no UTF-8 stand for themselves. Raises Invalid.
    """
    values = dict(parse_qsl(query_string, keep_blank_values=True, errors="surrogateescape"))
    field = f"{parameter}_b64" if f"{parameter}_b64" in values else parameter
    if field not in values:
        return paths.ROOT
    try:
        return paths.from_base64(values[field]) if field.endswith("_b64") else paths.normalise(values[field])
    except paths.PathError as error:
        raise Invalid(str(error), field=field) from error


def is_forest(view: View) -> bool:
    """True when the view keeps one tree per pipe (R51)."""
    return view.driver == ViewDriver.FS_FOREST


def complete_tree(view: View, member: str | None = None) -> Tree:
    """The tree of an `fs` view, or of one member of a forest, once its first snapshot is complete (R25).

    Raises Unavailable before that, Invalid when a forest is asked without a member, NotFound for an unknown member.
    """
    tree = _tree_of(view, member)
    if tree is None or tree.snapshot_complete_at is None:
        raise incomplete(view, tree)
    return tree


def incomplete(view: View, tree: Tree | None) -> Unavailable:
    """The 503 of a view without a complete snapshot; names the phase and what it waits for."""
    phase, doing, fix = _phase(tree)
    return Unavailable(
        f"View {view.slug} has no complete snapshot yet (phase: {phase}): {doing}.",
        code="snapshot_incomplete",
        fix=fix,
        retry_after=RETRY_AFTER_SECONDS,
        extra={"phase": phase, "view_id": view.slug},
    )


def _phase(tree: Tree | None) -> tuple[str, str, str]:
    """(phase, what is going on, what to do)."""
    if tree is not None and tree.snapshot_started_at is not None:
        return "snapshot", "the first scan is running", "Ask again later."
    if tree is not None and tree.live_sessions:
        return "snapshot", "an agent is connected, its first scan has not begun", "Ask again later."
    return "waiting for snapshot", "no agent is connected", "Start an agent whose pipe feeds this view."


def _tree_of(view: View, member: str | None) -> Tree | None:
    if not is_forest(view):
        return trees.of_view(view, "")
    if not member:
        raise Invalid(f"View {view.slug} is a forest; say which member.", field="member", fix="Give member=<pipe id>.")
    tree = trees.of_view(view, member)
    if tree is None:
        raise NotFound(f"View {view.slug} has no member {member}.")
    return tree
