"""Group 1 of the scenarios: sessions, roles, failover, over real HTTP against a real server with its worker."""

import time
from collections.abc import Callable

import pytest

from apps.sessions.models import Leadership, LeadershipChange, Session
from tests.blackbox.client import V2Client, d, f
from tests.blackbox.processes import PATIENCE_SECONDS, wait_until
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox

MakeWorld = Callable[..., World]
# of sessions that must not end by themselves while the test runs
LONG = 600


def sessions_of(client: V2Client) -> list[dict]:
    answer = client.reader.http.get("/sessions")
    assert answer.status_code == 200, answer.text
    assert answer.json()["count"] == len(answer.json()["active_sessions"])
    return answer.json()["active_sessions"]


def test_s001_first_session_leads_and_the_second_follows(world: World) -> None:
    first, second = world.client("a:p"), world.client("b:p")
    assert first.S().json()["role"] == "leader"
    assert second.S().json()["role"] == "follower"
    assert [row["role"] for row in sessions_of(first)] == ["leader", "follower"]


def test_s002_followers_realtime_counts_and_it_is_asked_for_no_scan(world: World) -> None:
    leader, follower = world.client("a:p"), world.client("b:p")
    leader.S()
    leader.snapshot([d("/", 1), f("/x", 1)])
    follower.S()
    assert follower.P("rt", [f("/y", time.time())], "insert").status_code == 200
    assert follower.reader.paths() == {"/", "/x", "/y"}
    assert follower.HB().json()["commands"] == []


def test_s004_followers_snapshot_is_refused_and_completes_nothing(world: World) -> None:
    leader, follower = world.client("a:p"), world.client("b:p")
    leader.S()
    follower.S()
    answer = follower.P("sn", [d("/", 1), f("/x", 1)], "insert", end=True)
    assert answer.status_code == 200
    assert answer.json()["applied"] == 0
    assert follower.reader.Q().status_code == 503


def test_s005_silence_of_the_leader_promotes_the_follower(make_world: MakeWorld) -> None:
    world = make_world(pipe={"session_timeout_seconds": 1})
    leader, follower = world.client("a:p"), world.client("b:p")
    leader.S()
    follower.S(timeout=LONG)
    silent_since = last_asked = time.monotonic()

    def promoted() -> bool:
        nonlocal last_asked
        asked = time.monotonic()
        if follower.HB().json()["role"] == "leader":
            return True
        last_asked = asked
        return False

    wait_until(promoted, PATIENCE_SECONDS, "the follower to be promoted")
    assert last_asked - silent_since <= 1 + 2, "who asks later than that is told to lead, however long the answer takes"
    assert leader.HB().status_code == 419


def test_s006_no_query_is_refused_during_a_failover(make_world: MakeWorld) -> None:
    world = make_world(pipe={"session_timeout_seconds": 1})
    leader, follower = world.client("a:p"), world.client("b:p")
    leader.S(timeout=LONG)
    leader.snapshot([d("/", 1), f("/x", 1)])
    leader.S()
    follower.S(timeout=LONG)
    answers = []

    def promoted() -> bool:
        answers.append(follower.reader.Q().status_code)
        return follower.HB().json()["role"] == "leader"

    wait_until(promoted, PATIENCE_SECONDS, "the follower to be promoted")
    answers.append(follower.reader.Q().status_code)
    assert set(answers) == {200}


def test_s007_a_leader_that_slept_can_push_nothing(make_world: MakeWorld) -> None:
    world = make_world(pipe={"session_timeout_seconds": 1})
    leader = world.client("a:p")
    leader.S(timeout=LONG)
    leader.snapshot([d("/", 1), f("/x", 1)])
    leader.S()
    time.sleep(1.1)
    assert leader.P("rt", [f("/late", time.time())], "insert").status_code == 419
    assert leader.P("sn", [f("/late", 1)], "insert").status_code == 419
    assert leader.P("au", [f("/late", 1)], "insert", end=True).status_code == 419
    assert leader.HB().status_code == 419
    assert leader.reader.paths() == {"/", "/x"}


def test_s008_unknown_sessions_are_refused_as_old_clients_expect(world: World) -> None:
    client = world.client("a:p")
    client.session_id = "6f9b3f0e-0000-4000-8000-000000000000"
    assert client.P("rt", [f("/x", 1)]).status_code == 404
    assert client.HB().status_code == 419
    assert client.X().json() == {"status": "terminated", "session_id": client.session_id}
    client.session_id = "not-a-uuid"
    assert client.HB().status_code == 419


def test_s009_a_task_has_one_live_session(world: World) -> None:
    first, again = world.client("a:p"), world.client("a:p")
    first.S()
    assert again.S().json()["role"] == "leader"
    assert first.HB().status_code == 419
    assert first.P("rt", [f("/x", 1)]).status_code == 419
    assert again.HB().status_code == 200
    assert len(sessions_of(again)) == 1


def test_s010_a_pipe_without_concurrent_push_takes_one_task_at_a_time(make_world: MakeWorld) -> None:
    world = make_world(pipe={"allow_concurrent_push": False})
    first, second = world.client("a:p"), world.client("b:p")
    first.S()
    refused = second.S()
    assert refused.status_code == 409
    assert refused.json()["held_by"] == "a:p"
    assert first.HB().status_code == 200
    first.X()
    assert second.S().status_code == 200


@pytest.mark.parametrize(("wish", "granted"), [(None, 30), (5, 30), (60, 60), (10**6, 3600)])
def test_s011_the_timeout_is_the_longer_one_within_bounds(world: World, wish: int | None, granted: int) -> None:
    assert world.client("a:p").S(timeout=wish).json()["session_timeout_seconds"] == granted


def test_s012_closing_hands_leadership_over_at_once(world: World) -> None:
    leader, follower = world.client("a:p"), world.client("b:p")
    first_epoch = leader.S().json()["epoch"]
    follower.S()
    leader.X()
    beat = follower.HB().json()
    assert beat["role"] == "leader"
    assert beat["epoch"] == first_epoch + 1


def test_s013_epochs_only_rise_through_twenty_failovers(world: World) -> None:
    clients = [world.client(f"{name}:p") for name in "abc"]
    for client in clients:
        client.S(timeout=LONG)
    epochs = []
    for _ in range(20):
        terms = list(Leadership.objects.filter(tree__view=world.view, session__ended_at__isnull=True))
        assert len(terms) == 1
        epochs.append(terms[0].epoch)
        leader = next(client for client in clients if client.session_id == str(terms[0].session.id))
        leader.X()
        leader.S(timeout=LONG)
    assert epochs == sorted(set(epochs))
    causes = set(LeadershipChange.objects.filter(tree__view=world.view).values_list("cause", flat=True))
    assert causes == {"opened", "closed"}


def test_s014_a_view_outlives_its_sessions_unless_it_is_live_only(make_world: MakeWorld) -> None:
    kept, live = make_world(), make_world(view={"live_mode": True})
    for world in (kept, live):
        client = world.client("a:p")
        client.S()
        client.snapshot([d("/", 1), f("/x", 1)])
        client.X()
    answer = kept.reader.Q()
    assert answer.status_code == 200
    assert "offline" in answer.headers["X-Fustor-Freshness"]
    assert live.reader.Q().status_code == 503


def test_s015_rows_of_a_new_session_survive_the_end_of_the_last_one(make_world: MakeWorld) -> None:
    world = make_world(view={"live_mode": True})
    before, after = world.client("a:p"), world.client("b:p")
    for _ in range(25):
        before.S()
        after.S()
        before.X()
        after.snapshot([d("/", 1), f("/x", 1)])
        assert after.reader.paths() == {"/", "/x"}
        after.X()


def test_s016_a_forest_has_one_leader_per_pipe(make_world: MakeWorld) -> None:
    world = make_world(driver="fs-forest", pipes=2)
    roles = {
        (number, task): world.client(f"{task}:p", pipe=number).S().json()["role"] for number in (1, 2) for task in ("a", "b", "c")
    }
    for number in (1, 2):
        assert [roles[number, task] for task in "abc"] == ["leader", "follower", "follower"]


def test_s017_a_failover_touches_one_scope_only(make_world: MakeWorld) -> None:
    world = make_world(driver="fs-forest", pipes=2)
    one, one_spare = world.client("a:p", pipe=1), world.client("b:p", pipe=1)
    other = world.client("c:p", pipe=2)
    one.S()
    one_spare.S()
    other_epoch = other.S().json()["epoch"]
    one.X()
    assert one_spare.HB().json()["role"] == "leader"
    assert other.HB().json() | {"role": "leader", "epoch": other_epoch} == other.HB().json()


def test_s018_heartbeats_of_wrong_types_cost_nothing_and_many_are_taken(world: World) -> None:
    client = world.client("a:p")
    client.S()
    path = f"/session/{client.session_id}/heartbeat"
    for body in ({"can_realtime": "perhaps"}, {"agent_status": [1]}, {"agent_status": {"state": {"a": 1}}}, [1, 2]):
        refused = client.http.post(path, json=body)
        assert refused.status_code == 422, refused.text
    assert all(client.HB().status_code == 200 for _ in range(100))


def test_s019_a_leader_that_comes_back_follows(make_world: MakeWorld) -> None:
    world = make_world(pipe={"session_timeout_seconds": 1})
    leader, follower = world.client("a:p"), world.client("b:p")
    leader.S()
    follower.S(timeout=LONG)
    wait_until(lambda: follower.HB().json()["role"] == "leader", PATIENCE_SECONDS, "the failover")
    assert leader.S().json()["role"] == "follower"
    assert follower.HB().json()["role"] == "leader"


def test_s020_a_view_added_to_a_pipe_leaves_its_sessions_alone(make_world: MakeWorld) -> None:
    world, other = make_world(), make_world()
    client = world.client("a:p")
    client.S(timeout=LONG)
    world.pipe.views.add(other.view)

    def leads_both() -> bool:
        return Leadership.objects.filter(session__id=client.session_id).count() == 2

    wait_until(leads_both, PATIENCE_SECONDS, "the session to lead the added view too")
    assert client.HB().status_code == 200
    assert Session.objects.filter(pipe=world.pipe).count() == 1
