"""Is what lies at a path complete? The verdict is a pure function of evidence; the evidence is a few bounded reads.

`changing`: something there was seen to change lately, or is suspect. `unknown`: nothing was seen to change, but the view could not
have seen everything: its agent is away, events were lost, a directory could not be read, a host without an agent writes there.
`settled`: neither. Quiet is counted from the last change that was seen; before the first change was seen, from the newest mtime.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db.models import Max

from apps.views import clock as watermark
from apps.views.freshness import Freshness, State
from apps.views.models import Audit, BlindSpot, Flag, Suspect, Tree
from apps.views.queries import gaps, lookup, sql
from apps.views.queries.stats import freshness_of
from apps.views.queries.within import within
from fustor_schema import paths

SAMPLE = 5


class Verdict(StrEnum):
    """The three answers."""

    SETTLED = "settled"
    CHANGING = "changing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Place:
    """A path as far as its own row tells. Times in Unix seconds, sizes in bytes."""

    path: str
    is_directory: bool
    files: int
    directories: int
    size: int
    last_change_at: float
    newest_mtime: float | None
    placeholder: bool


@dataclass(frozen=True, slots=True)
class Doubts:
    """What is doubtful below a path: counts, with a few examples each."""

    suspects: int = 0
    suspect_paths: tuple[str, ...] = ()
    unscanned: tuple[tuple[str, str], ...] = ()
    gaps: tuple[tuple[str, str], ...] = ()
    blind_spots: int = 0
    blind_at: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the verdict depends on. `watched_since`: when the view became complete; `verified_at`: last complete scan."""

    place: Place
    doubts: Doubts
    freshness: Freshness
    watched_since: float
    verified_at: float | None
    storage_now: float


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a verdict is not `settled`: a stable code, and words."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, how long it has been quiet (seconds), and the reasons."""

    verdict: Verdict
    quiet_for: float
    reasons: tuple[Reason, ...] = field(default=())


def judge(evidence: Evidence, quiet_seconds: float, now: float) -> Judgement:
    """The verdict at `now` (Unix seconds of the server)."""
    quiet_for = _quiet_for(evidence, now)
    changing, unknown = _changing(evidence, quiet_for, quiet_seconds), _unknown(evidence, quiet_seconds)
    away = evidence.freshness.state is State.OFFLINE
    if not changing and not unknown:
        return Judgement(Verdict.SETTLED, quiet_for)
    verdict = Verdict.CHANGING if changing and not away else Verdict.UNKNOWN
    return Judgement(verdict, quiet_for, (*changing, *unknown))


def _quiet_for(evidence: Evidence, now: float) -> float:
    place = evidence.place
    if place.last_change_at > evidence.watched_since:
        return max(0.0, now - place.last_change_at)
    # no change seen since the first snapshot: what its files say of themselves, in the storage's own time
    return max(0.0, now - evidence.watched_since, evidence.storage_now - (place.newest_mtime or 0.0))


def _changing(evidence: Evidence, quiet_for: float, quiet_seconds: float) -> list[Reason]:
    reasons = []
    if evidence.doubts.suspects:
        reasons.append(Reason("suspects", f"{evidence.doubts.suspects} files may still be being written"))
    if quiet_for < quiet_seconds:
        reasons.append(Reason("recent_change", f"the last change was {quiet_for:.1f} s ago, less than {quiet_seconds:g} s"))
    return reasons


def _unknown(evidence: Evidence, quiet_seconds: float) -> list[Reason]:
    doubts, reasons = evidence.doubts, []
    if evidence.freshness.degraded:
        reasons.append(Reason(evidence.freshness.state.value, evidence.freshness.reason))
    if evidence.place.placeholder:
        reasons.append(Reason("never_listed", "this directory is only known as the parent of others"))
    reasons += [Reason("unverified", f"{path} is unverified: {why}") for path, why in doubts.gaps]
    reasons += [Reason("unscanned", f"{path} could not be read: {why}") for path, why in doubts.unscanned]
    if doubts.blind_at is not None and not _confirmed(evidence.verified_at, doubts.blind_at + quiet_seconds):
        detail = f"{doubts.blind_spots} changes were made where no agent watches, and no audit since then found it quiet"
        reasons.append(Reason("blind_spots", detail))
    return reasons


def _confirmed(verified_at: float | None, needed: float) -> bool:
    return verified_at is not None and verified_at >= needed


def evidence_of(tree: Tree, key: str, now: float) -> Evidence:
    """What is known of a path and below it. Raises NotFound."""
    place = _place(tree, key)
    return Evidence(
        place=place,
        doubts=_doubts(tree, key, place),
        freshness=freshness_of(tree, now),
        watched_since=tree.snapshot_complete_at or now,
        verified_at=_last_audit_start(tree),
        storage_now=watermark.logical_now(tree.clock, now),
    )


def settled(tree: Tree, key: str, quiet_seconds: float | None, now: float) -> dict[str, Any]:
    """The answer of `settled`. `quiet_seconds` None: the view's `hot_file_threshold`. Raises NotFound."""
    wanted = tree.view.hot_file_threshold if quiet_seconds is None else quiet_seconds
    evidence = evidence_of(tree, key, now)
    return payload(evidence, judge(evidence, wanted, now), wanted)


def payload(evidence: Evidence, judgement: Judgement, quiet_seconds: float) -> dict[str, Any]:
    """Verdict, reasons and evidence as answers show them."""
    place, doubts = evidence.place, evidence.doubts
    return {
        "path": paths.display(place.path),
        "state": judgement.verdict.value,
        "quiet_seconds": quiet_seconds,
        "reasons": [{"code": reason.code, "detail": reason.detail} for reason in judgement.reasons],
        "evidence": {
            "content_type": "directory" if place.is_directory else "file",
            "total_files": place.files,
            "total_directories": place.directories,
            "total_size": place.size,
            "last_change_at": place.last_change_at or None,
            "newest_modified_time": place.newest_mtime,
            "quiet_for_seconds": judgement.quiet_for,
            "suspect_count": doubts.suspects,
            "suspects": [paths.display(path) for path in doubts.suspect_paths],
            "unscanned": [{"path": paths.display(path), "reason": why} for path, why in doubts.unscanned],
            "unverified": [{"path": paths.display(path), "reason": why} for path, why in doubts.gaps],
            "blind_spot_count": doubts.blind_spots,
            "last_blind_spot_at": doubts.blind_at,
            "last_verified_at": evidence.verified_at,
            "watched_since": evidence.watched_since,
        },
        "freshness": evidence.freshness.payload(),
    }


def _place(tree: Tree, key: str) -> Place:
    row = sql.fetch_one(
        "SELECT total_files, total_directories, total_bytes, last_change_at, newest_mtime, flags "
        f"FROM {sql.DIRECTORY} WHERE tree_id = %s AND path = %s",
        (tree.pk, key),
    )
    if row is not None:
        files, directories, size, changed, newest, flags = row
        return Place(key, True, files, directories, size, changed / 1000, newest, bool(flags & Flag.PLACEHOLDER))
    row = sql.fetch_one(
        f"SELECT f.size, f.decided_at, f.mtime FROM {sql.DIRECTORY} d JOIN {sql.FILE} f ON f.directory_id = d.id "
        "WHERE d.tree_id = %s AND d.path = %s AND f.name = %s",
        (tree.pk, paths.parent(key), paths.name(key)),
    )
    if row is None:
        raise lookup.absent(key)
    size, decided, mtime = row
    return Place(key, False, 1, 0, size, decided / 1000, mtime, placeholder=False)


def _doubts(tree: Tree, key: str, place: Place) -> Doubts:
    suspects = within(Suspect.objects.filter(tree=tree), key).order_by("path")
    spots = within(BlindSpot.objects.filter(tree=tree, closed_at=None), key)
    blind_at = spots.aggregate(latest=Max("detected_at"))["latest"]
    count = suspects.count()
    return Doubts(
        suspects=count,
        suspect_paths=tuple(suspects.values_list("path", flat=True)[:SAMPLE]) if count else (),
        unscanned=_unscanned(tree, key if place.is_directory else paths.parent(key), below=place.is_directory),
        gaps=tuple((gap.path, gap.reason) for gap in gaps.touching(tree, key)[:SAMPLE]),
        blind_spots=spots.count() if blind_at is not None else 0,
        blind_at=blind_at,
    )


def _unscanned(tree: Tree, directory: str, *, below: bool) -> tuple[tuple[str, str], ...]:
    low, high = sql.below(directory) if below else ("", "")
    rows = sql.fetch(
        f"SELECT path, unscanned FROM {sql.DIRECTORY} WHERE tree_id = %s AND unscanned <> '' "
        "AND (path = %s OR (path > %s AND path < %s)) ORDER BY path LIMIT %s",
        (tree.pk, directory, low, high, SAMPLE),
    )
    return tuple((path, why) for path, why in rows)


def _last_audit_start(tree: Tree) -> float | None:
    """When the last complete audit began: what it did not find changed had not changed by then."""
    started = (
        Audit.objects.filter(tree=tree, state=Audit.State.COMPLETE)
        .order_by("-started_at")
        .values_list("started_at", flat=True)
        .first()
    )
    return None if started is None else started / 1000
