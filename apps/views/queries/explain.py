"""Why the view says what it says of a path: which rule decided it, from which session, when; what was refused lately and why."""

from typing import Any

from apps.views import rulebook
from apps.views.models import BlindSpot, Flag, Gap, Recheck, Refusal, Suspect, Tombstone, Tree
from apps.views.ports import SessionLabel, ports
from apps.views.queries import lookup, sql
from apps.views.queries.blind_spots import record
from fustor_schema import paths

REFUSALS = 50
HISTORY = 20
_DECISION = "observed_at, decided_at, session, rule, flags"
_LISTING = "listed_at, listed_session, confirmed_at, confirmed_session, unscanned"


def explain(tree: Tree, key: str) -> dict[str, Any]:
    """All that bears on a path. Never NotFound: a path that is not there is explained too. Times in Unix seconds.

    `state`: `present`, `deleted` (a tombstone covers it), `unknown` (nothing was ever said of it, or it is long forgotten).
    """
    decision = _decision(tree, key)
    tombstone = _covering_tombstone(tree, key)
    refusals = list(Refusal.objects.filter(tree=tree, path=key).order_by("-at", "-pk")[:REFUSALS])
    listing = _listing(tree, key)
    labels = _labels(decision, tombstone, refusals, listing)
    state = "present" if decision else ("deleted" if tombstone else "unknown")
    return {
        "path": paths.display(key),
        "path_b64": paths.to_base64(key) if paths.is_escaped(key) else None,
        "state": state,
        "node": lookup.node_at(tree, key) if decision else None,
        "decided": _decided(decision, labels) if decision else None,
        "tombstone": _tombstone(tombstone, labels) if tombstone else None,
        "refused": [_refused(refusal, labels) for refusal in refusals],
        "suspect": _suspect(tree, key),
        "blind_spots": [record(spot) for spot in _blind_spots(tree, key)],
        "unverified": _gaps(tree, key),
        "recheck": _recheck(tree, key),
        "listing": _listed(listing, labels) if listing else None,
        "summary": _summary(key, state, decision, tombstone, labels),
    }


def _blind_spots(tree: Tree, key: str) -> list[BlindSpot]:
    """Those of the path, newest first, and what is open in one sum of its directory's entries, or of its own (R54)."""
    of_path = BlindSpot.objects.filter(tree=tree, path=key, aggregate=False).order_by("-pk")[:HISTORY]
    summed = BlindSpot.objects.filter(tree=tree, path__in={paths.parent(key), key}, aggregate=True, closed_at=None)
    return [*of_path, *summed.order_by("path", "change")]


def _decision(tree: Tree, key: str) -> sql.Row | None:
    row = sql.fetch_one(f"SELECT {_DECISION} FROM {sql.DIRECTORY} WHERE tree_id = %s AND path = %s", (tree.pk, key))
    if row is not None:
        return row
    return sql.fetch_one(
        f"SELECT {', '.join('f.' + column for column in _DECISION.split(', '))} "
        f"FROM {sql.DIRECTORY} d JOIN {sql.FILE} f ON f.directory_id = d.id WHERE d.tree_id = %s AND d.path = %s AND f.name = %s",
        (tree.pk, paths.parent(key), paths.name(key)),
    )


def _listing(tree: Tree, key: str) -> sql.Row | None:
    """How the directory that holds the path was listed last."""
    return sql.fetch_one(
        f"SELECT path, {_LISTING} FROM {sql.DIRECTORY} WHERE tree_id = %s AND path = %s",
        (tree.pk, paths.parent(key)),
    )


def _covering_tombstone(tree: Tree, key: str) -> Tombstone | None:
    """The path's own tombstone, or the newest of a directory above it that was deleted with all below (R6)."""
    own = Tombstone.objects.filter(tree=tree, path=key).first()
    if own is not None:
        return own
    above = Tombstone.objects.filter(tree=tree, path__in=paths.ancestors(key), subtree=True)
    return above.order_by("-observed_at").first()


def _labels(
    decision: sql.Row | None, tombstone: Tombstone | None, refusals: list[Refusal], listing: sql.Row | None
) -> dict[int, SessionLabel]:
    numbers = {refusal.session for refusal in refusals}
    numbers |= {decision[2]} if decision else set()
    numbers |= {tombstone.session} if tombstone else set()
    numbers |= {listing[2], listing[4]} if listing else set()
    return dict(ports.session_labels(numbers - {0}))


def _who(session: int, labels: dict[int, SessionLabel]) -> dict[str, Any] | None:
    label = labels.get(session)
    if label is None:
        return {"number": session} if session else None
    return {
        "number": session,
        "session": label.session,
        "agent_id": label.agent_id,
        "task_id": label.task_id,
        "source_uri": label.source_uri,
    }


def _by(rule: int) -> dict[str, Any]:
    return {"rule": rulebook.tag(rule), "rule_says": rulebook.sentence(rule)}


def _decided(decision: sql.Row, labels: dict[int, SessionLabel]) -> dict[str, Any]:
    observed, decided, session, rule, flags = decision
    return {
        **_by(rule),
        "by": _who(session, labels),
        "source": "realtime" if flags & Flag.REALTIME else "scan",
        "observed_at": _seconds(observed),
        "decided_at": _seconds(decided),
        "flags": [flag.name.lower() for flag in Flag if flag and flags & flag and flag.name],
    }


def _tombstone(stone: Tombstone, labels: dict[int, SessionLabel]) -> dict[str, Any]:
    return {
        "path": paths.display(stone.path),
        "subtree": stone.subtree,
        "source": stone.source,
        **_by(stone.rule or 7),
        "by": _who(stone.session, labels),
        "observed_at": _seconds(stone.observed_at),
        "created_at": _seconds(stone.created_at),
    }


def _refused(refusal: Refusal, labels: dict[int, SessionLabel]) -> dict[str, Any]:
    return {
        "at": _seconds(refusal.at),
        "observed_at": _seconds(refusal.observed_at),
        "source": refusal.source,
        **_by(refusal.rule),
        "reason": refusal.reason,
        "by": _who(refusal.session, labels),
    }


def _listed(listing: sql.Row, labels: dict[int, SessionLabel]) -> dict[str, Any]:
    path, listed, listed_by, confirmed, confirmed_by, unscanned = listing
    return {
        "directory": paths.display(path),
        "listed_at": _seconds(listed),
        "listed_by": _who(listed_by, labels),
        "confirmed_at": _seconds(confirmed),
        "confirmed_by": _who(confirmed_by, labels),
        "unscanned": unscanned or None,
    }


def _suspect(tree: Tree, key: str) -> dict[str, Any] | None:
    suspect = Suspect.objects.filter(tree=tree, path=key).first()
    if suspect is None:
        return None
    return {**_by(40), "partial": suspect.partial, "since": suspect.since, "suspect_until": suspect.until}


def _gaps(tree: Tree, key: str) -> list[dict[str, Any]]:
    covering = Gap.objects.filter(tree=tree, closed_at=None, path__in=(key, *paths.ancestors(key)))
    return [{"path": paths.display(gap.path), "reason": gap.reason, "since": _seconds(gap.opened_at)} for gap in covering[:HISTORY]]


def _recheck(tree: Tree, key: str) -> dict[str, Any] | None:
    wanted = Recheck.objects.filter(tree=tree, path=key).first()
    if wanted is None:
        return None
    return {"reason": wanted.reason, "wanted_at": _seconds(wanted.wanted_at), "asked_at": _seconds(wanted.asked_at)}


def _summary(key: str, state: str, decision: sql.Row | None, stone: Tombstone | None, labels: dict[int, SessionLabel]) -> str:
    """One sentence for people."""
    shown = paths.display(key)
    if decision is not None:
        return f"{shown} is there, as {_named(decision[2], labels)} said. {rulebook.sentence(decision[3])}".strip()
    if stone is None:
        return f"{shown} is not there: nothing that was said of it is remembered."
    where = "" if stone.path == key else f" with {paths.display(stone.path)}"
    return f"{shown} was deleted{where}, as {_named(stone.session, labels)} said ({stone.source})."


def _named(session: int, labels: dict[int, SessionLabel]) -> str:
    label = labels.get(session)
    return label.task_id if label is not None else (f"session {session}" if session else "the server")


def _seconds(milliseconds: int | None) -> float | None:
    """Unix seconds of a time in ms; None for never."""
    return milliseconds / 1000 if milliseconds else None
