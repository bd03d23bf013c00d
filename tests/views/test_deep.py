"""How long ago everything was looked at: shares of complete audits, and what `max_unverified_age` counts from (R18)."""

import pytest

from apps.views import audits, services
from apps.views.claims import Origin
from apps.views.deep import covered_since
from apps.views.models import Audit
from tests.views.conftest import Bench, d, f


def share(turn: int, cycles: int = 3) -> dict[str, int]:
    return {"deep_turn": turn, "deep_cycles": cycles}


@pytest.mark.parametrize(
    ("done", "since"),
    [
        ([(30, share(0)), (20, share(2)), (10, share(1))], 10),
        ([(40, share(1)), (30, share(0)), (20, share(2)), (10, share(1))], 20),
        ([(30, share(0)), (20, share(2))], None),
        ([(30, share(0)), (20, share(0)), (10, share(1))], None),
        ([(30, share(0)), (20, share(2)), (10, share(1, 4))], None),
        ([(30, share(0)), (20, {}), (10, share(0, 1))], 10),
        ([(30, share(0)), (20, share(2)), (10, share(7))], None),
    ],
)
def test_r18_all_shares_since(done: list[tuple[int, dict[str, int]]], since: int | None) -> None:
    assert covered_since(done, 3) == since


def audit(bench: Bench, agent: Origin, manifest: dict[str, int], *, rows: int = 1) -> float:
    """One audit of one silent directory; when it began, in seconds."""
    bench.clock.advance(100)
    started, audit_id = bench.now_ms, str(bench.now_ms)
    audits.start(bench.tree.pk, agent, audit_id=audit_id, started_ms=started, root_id=None, now_ms=started)
    bench.push(
        agent, "audit", [d("/d", audit_skipped=True)], end=True, audit_id=audit_id, metadata={"manifest": manifest | {"rows": rows}}
    )
    return started / 1000


def test_s059_shares_of_complete_audits_make_a_deep_look(bench: Bench) -> None:
    agent = bench.session(protocol=3)
    bench.sn(agent, d("/d"), f("/d/a"), end=True)
    of_snapshot = bench.fresh_tree().deep_verified_at
    first, _, lost = audit(bench, agent, share(0)), audit(bench, agent, share(1)), audit(bench, agent, share(2), rows=2)
    assert Audit.objects.get(started_at=lost * 1000).state == Audit.State.PARTIAL
    assert bench.fresh_tree().deep_verified_at == of_snapshot
    audit(bench, agent, share(2))
    assert bench.fresh_tree().deep_verified_at == first
    audit(bench, agent, {})
    assert bench.fresh_tree().deep_verified_at == first


def test_s058_an_audit_without_skips_is_a_deep_look(bench: Bench) -> None:
    agent = bench.session(protocol=3)
    bench.sn(agent, d("/d"), f("/d/a"), end=True)
    started = audit(bench, agent, share(0, 1))
    assert bench.fresh_tree().deep_verified_at == started


def test_r18_audits_before_a_reset_verify_nothing_after_it(bench: Bench) -> None:
    agent = bench.session(protocol=3)
    bench.sn(agent, d("/d"), f("/d/a"), end=True)
    audit(bench, agent, share(0))
    audit(bench, agent, share(1))
    bench.clock.advance(1)
    services.reset_view(bench.view, "ann")
    bench.sn(agent, d("/d"), f("/d/a"), end=True)
    of_snapshot = bench.fresh_tree().deep_verified_at
    audit(bench, agent, share(2))
    assert bench.fresh_tree().deep_verified_at == of_snapshot
