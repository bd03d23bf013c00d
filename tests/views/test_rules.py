"""A table per rule of the pure arbitration: what is stored, what is said, what must come."""

import pytest

from apps.views import rules
from apps.views.claims import Said
from apps.views.rules import Grave, Known, Listing, Rule
from fustor_schema.sources import MessageSource

BOUND = 60_000
T = 1_000_000_000


def said(source: str, *, session: int = 1, at: int = 0, error: int = 0) -> Said:
    return Said(MessageSource(source), session, T + at, error)


def known(*, session: int = 1, at: int = 0, realtime: bool = True) -> Known:
    return Known(T + at, session, realtime)


def grave(*, session: int = 1, at: int = 0, realtime: bool = True, error: int = 0) -> Grave:
    return Grave(T + at, error, session, realtime)


@pytest.mark.parametrize(
    ("buried", "claim", "applies", "rule"),
    [
        # R4: in one session a realtime upsert after a delete always wins, even observed earlier (a clock step)
        (grave(), said("realtime", at=-600_000), True, Rule.CREATE_AFTER_DELETE),
        # R5: another session's event must be newer; a tie keeps the file
        (grave(), said("realtime", session=2, at=1), True, Rule.NEWER_SOURCE),
        (grave(), said("realtime", session=2, at=-5_000), False, Rule.TOMBSTONE),
        (grave(error=3_000), said("realtime", session=2, at=-5_000, error=3_000), True, Rule.NEWER_SOURCE),
        # R6, R9: a scan must be newer than the delete by more than the attribute-cache bound
        (grave(), said("snapshot", at=-1), False, Rule.TOMBSTONE),
        (grave(), said("audit", at=0), False, Rule.TOMBSTONE),
        (grave(), said("audit", at=BOUND), False, Rule.RESURRECTED),
        (grave(), said("audit", at=BOUND + 1), True, Rule.RESURRECTED),
        (grave(error=1), said("audit", session=2, at=BOUND + 1), False, Rule.RESURRECTED),
        # a later scan of the session whose scan buried it simply knows more
        (grave(realtime=False), said("audit", at=1), True, Rule.RESURRECTED),
        (grave(realtime=False), said("audit", at=-1), False, Rule.TOMBSTONE),
        (grave(realtime=False), said("audit", session=2, at=1), False, Rule.RESURRECTED),
    ],
)
def test_upsert_of_a_deleted_path(buried: Grave, claim: Said, applies: bool, rule: Rule) -> None:
    decision = rules.upsert(None, buried, claim, BOUND)
    assert (decision.apply, decision.rule) == (applies, rule)


@pytest.mark.parametrize(
    ("stored", "claim", "applies", "rule"),
    [
        # R2, R43: events of one session are never dropped by a clock
        (known(), said("realtime", at=-600_000), True, Rule.IN_ORDER),
        # R5: between sessions the newer event wins, a tie keeps and doubts
        (known(), said("realtime", session=2, at=10), True, Rule.NEWER_SOURCE),
        (known(), said("realtime", session=2, at=-10), False, Rule.NEWER_SOURCE),
        (known(), said("realtime", session=2, at=-10, error=50), True, Rule.NEWER_SOURCE),
        # R13: an event inside the window beats a scan, and is not beaten by one
        (known(), said("audit", at=BOUND), False, Rule.WINDOW),
        (known(), said("audit", at=BOUND + 1), True, Rule.NEWER_OBSERVATION),
        (known(), said("snapshot", at=-1), False, Rule.NEWER_OBSERVATION),
        (known(realtime=False), said("realtime", session=2, at=-BOUND), True, Rule.IN_ORDER),
        (known(realtime=False), said("realtime", session=2, at=-BOUND - 1), False, Rule.NEWER_SOURCE),
        # a later cycle of one session is newer, whatever its stamps; of another session by observation
        (known(realtime=False), said("audit", at=-1), True, Rule.NEWER_OBSERVATION),
        (known(realtime=False), said("audit", session=2, at=1), True, Rule.NEWER_OBSERVATION),
        (known(realtime=False), said("audit", session=2, at=-1), False, Rule.NEWER_OBSERVATION),
    ],
)
def test_upsert_of_a_known_path(stored: Known, claim: Said, applies: bool, rule: Rule) -> None:
    decision = rules.upsert(stored, None, claim, BOUND)
    assert (decision.apply, decision.rule) == (applies, rule)


def test_a_tie_between_sessions_is_doubtful_and_looked_at_again() -> None:
    decision = rules.upsert(known(), None, said("realtime", session=2, error=50), BOUND)
    assert (decision.apply, decision.doubtful, decision.recheck) == (True, True, True)


@pytest.mark.parametrize(
    ("stored", "claim", "applies"),
    [
        (None, said("realtime"), True),
        (None, said("on_demand_job"), True),
        (known(), said("realtime", at=-600_000), True),
        (known(), said("realtime", session=2, at=1), True),
        (known(), said("realtime", session=2, at=-1), False),
        # R5: a tie never deletes
        (known(), said("realtime", session=2, at=1, error=5), False),
        # scenario 74: a delete by a scan against a file that an event just confirmed
        (known(), said("on_demand_job", at=1_000), False),
        (known(), said("on_demand_job", at=BOUND + 1), True),
        (known(realtime=False), said("audit"), True),
        (known(realtime=False), said("audit", session=2, at=BOUND), False),
        (known(realtime=False), said("realtime", session=2, at=-1_000), True),
    ],
)
def test_delete(stored: Known | None, claim: Said, applies: bool) -> None:
    decision = rules.delete(stored, claim, BOUND)
    assert decision.apply is applies
    assert applies or decision.reason


@pytest.mark.parametrize(
    ("stored", "claim", "applies"),
    [
        (known(realtime=False), said("snapshot", at=1), True),
        (known(realtime=False), said("snapshot", at=0), False),
        (known(), said("snapshot", at=BOUND), False),
        (known(), said("realtime", at=-5), True),
    ],
)
def test_r36_a_change_of_type_needs_a_newer_observation(stored: Known, claim: Said, applies: bool) -> None:
    assert rules.retype(stored, claim, BOUND).apply is applies


@pytest.mark.parametrize(
    ("stored", "confirmed", "goes"),
    [
        # R13: confirmed by an event of any session inside the window
        (known(at=-BOUND), (0, 0), True),
        (known(at=-BOUND + 1), (0, 0), False),
        (known(at=-BOUND + 1, session=2), (0, 0), False),
        # by a scan of another session inside the window; a scan of the same session does not count
        (known(realtime=False, at=-1), (0, 0), True),
        (known(realtime=False, at=1), (0, 0), False),
        (known(realtime=False, at=-1, session=2), (0, 0), False),
        (known(realtime=False, at=-BOUND, session=2), (0, 0), True),
        # unchanged rows confirm the directory, not the row
        (known(realtime=False, at=-BOUND), (T - 1, 1), True),
        (known(realtime=False, at=-BOUND), (T - 1, 2), False),
        (known(realtime=False, at=-BOUND), (T - BOUND, 2), True),
    ],
)
def test_r13_absent_children_go_only_when_nobody_confirmed_them(stored: Known, confirmed: tuple[int, int], goes: bool) -> None:
    assert rules.absent(stored, *confirmed, Listing(1, T), BOUND) is goes
