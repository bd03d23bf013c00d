"""Is what lies at a path complete? The verdict is a pure function of the evidence (queries.evidence).

`changing`: something there was seen to change lately, or is suspect. `unknown`: nothing was seen to change, but the view could not
have seen everything: its agent is away, events were lost, a directory could not be read, a host without an agent writes there.
`settled`: neither. Quiet is counted from the last change that was seen; before the first change was seen, from the newest mtime.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from apps.views.freshness import State
from apps.views.models import Tree
from apps.views.queries.evidence import Evidence, evidence_of
from fustor_schema import paths


class Verdict(StrEnum):
    """The three answers."""

    SETTLED = "settled"
    CHANGING = "changing"
    UNKNOWN = "unknown"


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
