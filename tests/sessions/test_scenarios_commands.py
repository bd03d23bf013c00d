"""Group 9 of the scenarios (commands and on-demand scans) and group 12 where it is about sessions, over real HTTP."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from apps.pipes.keys import create_key
from apps.pipes.models import ApiKey
from apps.runtime.clock import now_datetime
from apps.sessions.models import Job
from tests.blackbox.client import V2Client, d, f
from tests.blackbox.processes import PATIENCE_SECONDS, wait_until
from tests.blackbox.world import World

pytestmark = pytest.mark.blackbox


@pytest.fixture
def agent(world: World) -> V2Client:
    """A V2 leader with /a/x in its view."""
    client = world.client("a:p")
    client.S(timeout=600)
    client.snapshot([d("/", 1), d("/a", 1), f("/a/x", 1)])
    return client


def ask(client: V2Client, path: str) -> dict[str, Any]:
    answer = client.reader.Q(path, on_demand_scan="true")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def job(client: V2Client, job_id: str) -> dict[str, Any]:
    return dict(client.reader.http.get(f"/jobs/{job_id}").json())


def complete(client: V2Client, job_id: str, path: str) -> Any:
    return client.P("rt", [], source_type="job_complete", metadata={"scan_path": path, "job_id": job_id})


def test_s099_a_scan_goes_from_the_reader_to_the_agent_and_back(agent: V2Client) -> None:
    asked = ask(agent, "/a")
    assert asked["job_pending"] is True
    (order,) = agent.HB().json()["commands"]
    assert (order["type"], order["path"], order["recursive"]) == ("scan", "/a", True)
    metadata = {"scan_path": "/a", "job_id": order["job_id"]}
    assert agent.P("od", [d("/a", 2), f("/a/x", 1), f("/a/new", 2)], "insert", metadata=metadata).status_code == 200
    assert job(agent, asked["job_id"])["status"] == "RUNNING"
    done = complete(agent, order["job_id"], "/a")
    assert done.json() | {"status": "ok", "phase": "job_complete"} == done.json()
    finished = job(agent, asked["job_id"])
    assert (finished["status"], finished["progress"]["percentage"]) == ("DONE", 100)
    assert finished["completed_at"] >= finished["created_at"]
    assert "/a/new" in agent.reader.paths()


def test_s100_a_command_whose_answer_was_lost_comes_again(make_world: Callable[..., World]) -> None:
    world = make_world(pipe={"session_timeout_seconds": 10})
    client = world.client("a:p")
    client.S()
    client.snapshot([d("/", 1)])
    ask(client, "/")
    asked = time.monotonic()
    (lost,) = client.HB().json()["commands"]
    again = client.HB().json()["commands"]
    assert again == [] or time.monotonic() - asked > 2.5, "a quarter of the timeout is left to whoever took it"

    def delivered() -> bool:
        again.extend(client.HB().json()["commands"])
        return bool(again)

    wait_until(lambda: bool(again) or delivered(), PATIENCE_SECONDS, "the second delivery")
    assert again == [lost]


def test_s101_a_job_dies_with_its_only_agent(make_world: Callable[..., World]) -> None:
    world = make_world(pipe={"session_timeout_seconds": 5})
    client = world.client("a:p")
    client.S(timeout=600)
    client.snapshot([d("/", 1)])
    client.S()
    job_id = ask(client, "/")["job_id"]
    wait_until(lambda: job(client, job_id)["status"] in ("FAILED", "EXPIRED"), PATIENCE_SECONDS, "the job to end")
    assert job(client, job_id)["error"]


def test_s101_a_job_moves_to_the_session_that_takes_over(world: World, agent: V2Client) -> None:
    heir = world.client("b:p")
    heir.S(timeout=600)
    job_id = ask(agent, "/a")["job_id"]
    agent.X()
    orders: list[Any] = []

    def taken_over() -> bool:
        orders.extend(heir.HB().json()["commands"])
        return bool(orders)

    wait_until(taken_over, PATIENCE_SECONDS, "the heir to be given the scan")
    assert complete(heir, orders[0]["job_id"], "/a").status_code == 200
    assert job(heir, job_id)["status"] == "DONE"


def test_s103_a_job_is_completed_once_and_by_its_own_session(world: World, agent: V2Client) -> None:
    other = world.client("b:p")
    other.S()
    job_id = ask(agent, "/a")["job_id"]
    (order,) = agent.HB().json()["commands"]
    assert complete(other, order["job_id"], "/a").status_code == 409
    assert job(agent, job_id)["status"] == "QUEUED"
    assert [complete(agent, order["job_id"], "/a").status_code for _ in range(2)] == [200, 200]
    assert job(agent, job_id)["status"] == "DONE"


def test_s102_a_scan_of_a_path_that_is_gone_confirms_the_delete(agent: V2Client) -> None:
    job_id = ask(agent, "/a/x")["job_id"]
    (order,) = agent.HB().json()["commands"]
    metadata = {"scan_path": "/a/x", "job_id": order["job_id"]}
    agent.delete("/a/x", source="od", metadata=metadata)
    complete(agent, order["job_id"], "/a/x")
    assert job(agent, job_id)["status"] == "DONE"
    assert "/a/x" not in agent.reader.paths()


def test_s104_a_scan_goes_to_the_pipe_of_its_view_only(make_world: Callable[..., World]) -> None:
    data, database = make_world(), make_world()
    agents = [one.client("a:p") for one in (data, database)]
    for client in agents:
        client.S()
        client.snapshot([d("/", 1), d("/x", 1)])
    ask(agents[1], "/x")
    assert agents[0].HB().json()["commands"] == []
    assert [order["path"] for order in agents[1].HB().json()["commands"]] == ["/x"]


def test_s106_scans_coalesce_and_are_bounded(agent: V2Client) -> None:
    agent.P("rt", [d(f"/p{number}", 1) for number in range(60)], "insert")
    first = ask(agent, "/p0")["job_id"]
    assert ask(agent, "/p0")["job_id"] == first
    answers = [agent.reader.http.post("/jobs", json={"path": f"/p{number}"}) for number in range(60)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(refused) == 10
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)


def test_jobs_of_a_view_are_listed_newest_first(agent: V2Client) -> None:
    one, two = ask(agent, "/a")["job_id"], ask(agent, "/a/x")["job_id"]
    listed = [row["job_id"] for row in agent.reader.http.get("/jobs").json()["jobs"]]
    assert one in listed
    assert two in (one, listed[0])
    assert agent.reader.http.get(f"/jobs/{uuid.uuid4()}").status_code == 404


def test_v2_phases_are_recorded_as_jobs(world: World, agent: V2Client) -> None:
    (snapshot,) = Job.objects.filter(pipe=world.pipe, kind="snapshot")
    assert (snapshot.state, snapshot.found, snapshot.trigger) == ("DONE", 3, "agent")
    agent.AS()
    agent.P("au", [d("/", 1), d("/a", 1), f("/a/x", 1)])
    audit = Job.objects.get(pipe=world.pipe, kind="audit")
    assert (audit.state, audit.found) == ("RUNNING", 3)
    agent.AE()
    audit.refresh_from_db()
    assert audit.state == "DONE"


def test_s139_a_revoked_key_ends_its_session(world: World) -> None:
    key, secret = create_key("receiver", receiver=world.receiver, pipes=[world.pipe])
    client = V2Client(world.server.url, secret, world.view.slug, world.query_key, "r:p")
    assert client.S(timeout=600).status_code == 200
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=now_datetime())
    wait_until(lambda: client.HB().status_code == 401, PATIENCE_SECONDS, "the key to be refused")

    def listed() -> Any:
        return client.reader.http.get("/sessions").json()

    wait_until(lambda: listed()["count"] == 0, PATIENCE_SECONDS, lambda: f"its session to end: {listed()}")
    client.session_id = ""
    client.close()


def test_s144_session_ids_are_random_and_masked_in_lists(agent: V2Client) -> None:
    assert uuid.UUID(agent.session_id).version == 4
    listing = agent.reader.http.get("/sessions").text
    assert agent.session_id not in listing
    assert agent.session_id[:8] in listing


def test_r50_a_session_is_used_with_a_key_of_its_receiver_only(make_world: Callable[..., World]) -> None:
    one, other = make_world(), make_world()
    victim, stranger = one.client("a:p"), other.client("a:p")
    victim.S()
    stranger.S()
    own, stranger.session_id = stranger.session_id, victim.session_id
    for answer in (stranger.HB(), stranger.P("rt", [f("/x", time.time())]), stranger.X()):
        assert answer.status_code == 403, answer.text
    stranger.session_id = own
    assert victim.HB().status_code == 200
