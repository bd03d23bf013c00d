"""The arbitration, as pure functions: (what is stored, the claim, the limits) → a decision that names its rule.

No I/O, no clock. Rule numbers are those of docs/consistency.md. All times are server milliseconds. Called by `apply` and
`audits`, row by row; tests/views/test_rules.py holds a table per rule.
"""

from enum import IntEnum
from typing import NamedTuple

from apps.views.claims import Said


class Rule(IntEnum):
    """The rules that can decide a node or refuse a claim; the value is the rule's number."""

    NONE = 0
    IN_ORDER = 2
    CREATE_AFTER_DELETE = 4
    NEWER_SOURCE = 5
    TOMBSTONE = 6
    DELETED = 7
    RESURRECTED = 9
    ABSENT = 11
    WINDOW = 13
    SILENT = 17
    NEWER_OBSERVATION = 19
    STALE_WRITER = 22
    ROOT = 35
    TYPE = 36
    MOVED = 39
    SUSPECT = 40
    CAPACITY = 54


class Known(NamedTuple):
    """What decided the stored node last."""

    observed_at: int
    session: int
    realtime: bool


class Grave(NamedTuple):
    """A tombstone that covers the claim's path: its own, or an ancestor's with subtree."""

    observed_at: int
    error_ms: int
    session: int
    realtime: bool


class Decision(NamedTuple):
    """`apply` the claim or refuse it. `doubtful`: sources tie, so the node is suspect; `recheck`: look at the path again."""

    apply: bool
    rule: Rule
    reason: str = ""
    doubtful: bool = False
    recheck: bool = False


IN_ORDER = Decision(True, Rule.IN_ORDER)
CREATED_AGAIN = Decision(True, Rule.CREATE_AFTER_DELETE)
NEWER = Decision(True, Rule.NEWER_SOURCE)
TIED = Decision(True, Rule.NEWER_SOURCE, "two sources overlap in time", doubtful=True, recheck=True)
SEEN = Decision(True, Rule.NEWER_OBSERVATION)
SEEN_AGAIN = Decision(True, Rule.RESURRECTED)
GONE = Decision(True, Rule.DELETED)
GONE_NEWER = Decision(True, Rule.NEWER_SOURCE)
OLDER_THAN_DELETE = Decision(False, Rule.TOMBSTONE, "observed before the path was deleted")
CLOSE_TO_DELETE = Decision(False, Rule.RESURRECTED, "observed too soon after the delete to beat a cached listing", recheck=True)
OLDER_THAN_SOURCE = Decision(False, Rule.NEWER_SOURCE, "another source observed the path later")
OLDER_THAN_NODE = Decision(False, Rule.NEWER_OBSERVATION, "observed before what is known")
INSIDE_WINDOW = Decision(False, Rule.WINDOW, "a realtime event inside the attribute-cache window beats a scan", recheck=True)
KEPT_ON_TIE = Decision(False, Rule.NEWER_SOURCE, "two sources overlap in time: kept", doubtful=True, recheck=True)


def upsert(known: Known | None, grave: Grave | None, said: Said, bound_ms: int) -> Decision:
    """Whether a claim that a path exists is believed.

    `bound_ms`: how long an NFS client may see an old listing (R9, R13). A stored node has beaten every tombstone above it,
    so only the node itself counts then.
    """
    if known is not None:
        return _realtime_over(known, said, bound_ms) if said.realtime else _scan_over(known, said, bound_ms)
    if grave is None:
        return IN_ORDER if said.realtime else SEEN
    return _realtime_past(grave, said) if said.realtime else _scan_past(grave, said, bound_ms)


def _realtime_past(grave: Grave, said: Said) -> Decision:
    if said.session == grave.session:
        return CREATED_AGAIN  # R4: within one session the order of arrival is the truth
    distance, error = said.observed_at - grave.observed_at, said.error_ms + grave.error_ms
    if distance > error:
        return NEWER
    return TIED if distance >= -error else OLDER_THAN_DELETE


def _scan_past(grave: Grave, said: Said, bound_ms: int) -> Decision:
    if said.session == grave.session and not grave.realtime:
        # two scans through one mount share its cache: the later one simply knows more
        return SEEN_AGAIN if said.observed_at >= grave.observed_at else OLDER_THAN_DELETE
    error = 0 if said.session == grave.session else said.error_ms + grave.error_ms
    distance = said.observed_at - grave.observed_at
    if distance > error + bound_ms:
        return SEEN_AGAIN
    return CLOSE_TO_DELETE if distance > error else OLDER_THAN_DELETE


def _realtime_over(known: Known, said: Said, bound_ms: int) -> Decision:
    if said.session == known.session:
        return IN_ORDER
    distance = said.observed_at - known.observed_at
    if not known.realtime:
        # an event inside the window beats a scan; a scan well after the event saw a later state
        return IN_ORDER if distance >= -(said.error_ms + bound_ms) else OLDER_THAN_SOURCE
    error = 2 * said.error_ms
    if distance > error:
        return NEWER
    return TIED if distance >= -error else OLDER_THAN_SOURCE


def _scan_over(known: Known, said: Said, bound_ms: int) -> Decision:
    same_session = said.session == known.session
    distance = said.observed_at - known.observed_at
    if known.realtime:
        error = 0 if same_session else 2 * said.error_ms
        if distance > error + bound_ms:
            return SEEN
        return INSIDE_WINDOW if distance > error else OLDER_THAN_NODE
    if same_session:
        return SEEN  # a later cycle of one session is newer than an earlier one
    error = 2 * said.error_ms
    if distance > error:
        return SEEN
    return TIED if distance >= -error else OLDER_THAN_NODE


def delete(known: Known | None, said: Said, bound_ms: int) -> Decision:
    """Whether a claim that a path is gone is believed. A delete of an absent path is: it leaves a tombstone (R7)."""
    if known is None:
        return GONE
    distance, same_session = said.observed_at - known.observed_at, said.session == known.session
    if said.realtime:
        return _realtime_delete(known, said, distance, bound_ms)
    if same_session and not known.realtime:
        return GONE
    error = 0 if same_session else 2 * said.error_ms
    if distance > error + bound_ms:
        return GONE
    return INSIDE_WINDOW if distance > error else OLDER_THAN_NODE


def _realtime_delete(known: Known, said: Said, distance: int, bound_ms: int) -> Decision:
    if said.session == known.session:
        return GONE
    if not known.realtime:
        return GONE if distance >= -(said.error_ms + bound_ms) else OLDER_THAN_SOURCE
    error = 2 * said.error_ms
    if distance > error:
        return GONE_NEWER
    return KEPT_ON_TIE if distance >= -error else OLDER_THAN_SOURCE


def retype(known: Known, said: Said, bound_ms: int) -> Decision:
    """Whether a claim may turn a file into a directory or back (R36): only a newer observation may."""
    decision = upsert(known, None, said, bound_ms)
    if not decision.apply or (said.realtime and said.session == known.session):
        return decision
    if said.realtime:
        return decision
    return decision if said.observed_at > known.observed_at else OLDER_THAN_NODE


class Listing(NamedTuple):
    """A complete listing of a directory that lacks a stored name: who made it, and when it began."""

    session: int
    scan_start: int


def absent(known: Known, confirmed_at: int, confirmed_session: int, listing: Listing, bound_ms: int) -> bool:
    """Whether a stored child that a complete listing lacks may go (R11, R13).

    `confirmed_at` and `confirmed_session`: the last scan that confirmed the directory's children without writing them.
    """
    window = listing.scan_start - bound_ms
    if known.realtime or known.session != listing.session:
        if known.observed_at > window:
            return False
    elif known.observed_at > listing.scan_start:
        return False
    return confirmed_session == listing.session or confirmed_at <= window
