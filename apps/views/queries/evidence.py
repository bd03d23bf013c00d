"""What is known of a path that bears on whether it is settled: its own row, and the doubts about it and all below it.

For many files at once in a fixed number of statements (`locate`); a directory takes a few more, each bounded by an index.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Max, Q, QuerySet, Sum

from apps.views import clock as watermark
from apps.views.freshness import Freshness
from apps.views.models import Audit, BlindSpot, Flag, Suspect, Tree
from apps.views.queries import gaps, lookup, sql
from apps.views.queries.stats import freshness_of
from apps.views.queries.within import is_within, within
from fustor_schema import paths

SAMPLE = 5
_COUNTED = Flag.COUNTED_ADDED | Flag.COUNTED_MODIFIED
# worded as the condition of the partial index `directory_unscanned` is, else SQLite reads every directory of the subtree
UNSCANNED = (
    f"SELECT path, unscanned FROM {sql.DIRECTORY} WHERE tree_id = %s AND NOT (unscanned = '') "
    "AND path >= %s AND path < %s AND (path = %s OR path > %s) ORDER BY path LIMIT %s"
)
_FILE = "d.path, d.unscanned, f.name, f.size, f.decided_at, f.mtime, f.flags"


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
    """What is doubtful at a path and below it: counts, with a few examples each. `blind_at`: when the last blind spot was found."""

    suspects: int = 0
    suspect_paths: tuple[str, ...] = ()
    unscanned: tuple[tuple[str, str], ...] = ()
    gaps: tuple[tuple[str, str], ...] = ()
    blind_spots: int = 0
    blind_at: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything a verdict depends on. `watched_since`: when the view became complete; `verified_at`: last complete scan."""

    place: Place
    doubts: Doubts
    freshness: Freshness
    watched_since: float
    verified_at: float | None
    storage_now: float


def evidence_of(tree: Tree, key: str, now: float) -> Evidence:
    """What is known of one path at `now` (Unix seconds of the server). Raises NotFound."""
    found = evidence_of_many(tree, [key], now)
    if key not in found:
        raise lookup.absent(key)
    return found[key]


def evidence_of_many(tree: Tree, keys: Sequence[str], now: float) -> dict[str, Evidence]:
    """The same of several paths; absent ones are left out."""
    if not keys:
        return {}
    directories = {place.path: (place, _doubts_below(tree, place.path)) for place in _directories(tree, keys)}
    files = _files(tree, [key for key in keys if key not in directories])
    freshness, verified_at = freshness_of(tree, now), _last_audit_start(tree)
    return {
        key: Evidence(
            place=place,
            doubts=doubts,
            freshness=freshness,
            watched_since=tree.snapshot_complete_at or now,
            verified_at=verified_at,
            storage_now=watermark.logical_now(tree.clock, now),
        )
        for key, (place, doubts) in {**directories, **files}.items()
    }


def _directories(tree: Tree, keys: Sequence[str]) -> list[Place]:
    rows = sql.fetch(
        "SELECT path, total_files, total_directories, total_bytes, last_change_at, newest_mtime, flags "
        f"FROM {sql.DIRECTORY} WHERE tree_id = %s AND {sql.one_of('path')}",
        (tree.pk, sql.bound(keys)),
    )
    return [
        Place(path, True, files, directories, size, changed / 1000, newest, bool(flags & Flag.PLACEHOLDER))
        for path, files, directories, size, changed, newest, flags in rows
    ]


def _doubts_below(tree: Tree, key: str) -> Doubts:
    suspects = within(Suspect.objects.filter(tree=tree), key).order_by("path")
    spots = _spots_about(tree, key).aggregate(latest=Max("detected_at"), count=Sum("count"))
    count = suspects.count()
    return Doubts(
        suspects=count,
        suspect_paths=tuple(suspects.values_list("path", flat=True)[:SAMPLE]) if count else (),
        unscanned=_unscanned_below(tree, key),
        gaps=_gaps(tree, key),
        blind_spots=spots["count"] or 0,
        blind_at=spots["latest"],
    )


def _spots_about(tree: Tree, key: str) -> QuerySet[BlindSpot]:
    """Open blind spots at a path and below it, and those counted in a directory above: they may be of it."""
    open_ones = BlindSpot.objects.filter(tree=tree, closed_at=None)
    above = Q(aggregate=True, path__in=paths.ancestors(key))
    return open_ones if key == paths.ROOT else open_ones.filter(is_within(key) | above)


def _unscanned_below(tree: Tree, key: str) -> tuple[tuple[str, str], ...]:
    low, high = sql.below(key)
    rows = sql.fetch(UNSCANNED, (tree.pk, key, high, key, low, SAMPLE))
    return tuple((path, why) for path, why in rows)


def _files(tree: Tree, keys: Sequence[str]) -> dict[str, tuple[Place, Doubts]]:
    """Files among the paths, each with its doubts."""
    if not keys:
        return {}
    suspects = set(Suspect.objects.filter(tree=tree, path__in=keys).values_list("path", flat=True))
    spots, summed = _spots_at(tree, keys)
    found = {}
    for directory, unscanned, name, size, decided, mtime, flags in lookup.file_rows(tree, keys, _FILE):
        key = paths.join(directory, name)
        blind_at = summed.get(directory) if flags & _COUNTED else spots.get(key)
        doubts = Doubts(
            suspects=int(key in suspects),
            suspect_paths=(key,) if key in suspects else (),
            unscanned=((directory, unscanned),) if unscanned else (),
            gaps=_gaps(tree, key),
            blind_spots=int(blind_at is not None),
            blind_at=blind_at,
        )
        found[key] = Place(key, False, 1, 0, size, decided / 1000, mtime, placeholder=False), doubts
    return {key: found[key] for key in keys if key in found}


def _spots_at(tree: Tree, keys: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """When the open blind spots at these paths were found, and the newest of those counted in the directories above them."""
    open_ones = BlindSpot.objects.filter(tree=tree, closed_at=None)
    summed = open_ones.filter(aggregate=True, path__in={paths.parent(key) for key in keys}).order_by("detected_at")
    return (
        dict(open_ones.filter(aggregate=False, path__in=keys).values_list("path", "detected_at")),
        dict(summed.values_list("path", "detected_at")),
    )


def _gaps(tree: Tree, key: str) -> tuple[tuple[str, str], ...]:
    return tuple((gap.path, gap.reason) for gap in gaps.touching(tree, key)[:SAMPLE])


def _last_audit_start(tree: Tree) -> float | None:
    """When the last complete audit began: what it did not find changed had not changed by then."""
    complete = Audit.objects.filter(tree=tree, state=Audit.State.COMPLETE).order_by("-started_at")
    started = complete.values_list("started_at", flat=True).first()
    return None if started is None else started / 1000
