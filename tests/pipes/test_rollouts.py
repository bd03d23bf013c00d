"""Rollouts: waves by label and share, automatic halt, going on, stopping, rolling back; nobody overtakes a wave; many workers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from apps.pipes import agents, services
from apps.pipes.audit import Actor
from apps.pipes.config import service
from apps.pipes.models import Agent, AuditEntry, MemberState, Pipe, Revision, Rollout, RolloutState
from apps.pipes.rollouts import service as rollouts
from apps.pipes.rollouts.verdict import MemberFacts, Next, next_step, of_member
from apps.pipes.rollouts.waves import THE_REST, Terms, Wave, assign, parse_waves
from apps.runtime import clock
from apps.runtime.problems import Conflict, Invalid, NotFound
from apps.sessions.models import Command, Session
from tests.pipes.conftest import load

ANNA = service.Author("anna", "faster disks")
TERMS = Terms((Wave(labels=(("site", "north"),)),), pause_seconds=60)
HOSTS = {"n1": "north", "n2": "north", "s1": "south", "s2": "south", "s3": "south"}
PIPES = "{home: {source: data, sender: here, pipe: one}}"
FLEET = "\n".join(
    [
        "sources: {data: {uri: /data}}",
        "senders: {here: {uri: 'http://localhost'}}",
        "agents:",
        *(f"  {name}: {{labels: {{site: {site}}}, pipes: {PIPES}}}" for name, site in HOSTS.items()),
    ]
)


@pytest.fixture
def fleet(small: None, time_stands_still: clock.ManualClock) -> clock.ManualClock:
    """Five agents at two sites that run the same source; the clock stands still."""
    load(FLEET)
    Agent.objects.update(enrolled_at=clock.now_datetime(), last_seen_at=clock.now_datetime())
    for name in HOSTS:
        obey(name)
    return time_stands_still


def change(uri: str, terms: Terms | None = TERMS, author: service.Author = ANNA) -> Revision:
    document = services.document_with("sources", "data", {"uri": uri})
    _plan, revision = service.change(service.Wanted(document), author, terms=terms)
    assert revision is not None
    return revision


def obey(name: str) -> None:
    agent = Agent.objects.get(slug=name)
    agents.report(agent, agent.desired_revision, "")


def refuse(name: str, reason: str = "unknown field") -> None:
    agent = Agent.objects.get(slug=name)
    agents.report(agent, agent.reported_revision, reason)


def wanted(*names: str) -> set[int]:
    return set(Agent.objects.filter(slug__in=names).values_list("desired_revision", flat=True))


def state_of(number: int) -> str:
    return Rollout.objects.get(pk=number).state


def reach(number: int, name: str) -> str:
    return Rollout.objects.get(pk=number).members.get(agent__slug=name).state


def runs(name: str) -> str:
    uri: str = agents.desired(Agent.objects.get(slug=name))["config"]["sources"]["data"]["uri"]
    return uri


@pytest.mark.parametrize(
    ("text", "waves"),
    [
        ("site=north", (Wave(labels=(("site", "north"),)),)),
        ("site = north, rack=7\n\n 10% \n", (Wave(labels=(("rack", "7"), ("site", "north"))), Wave(percent=10))),
    ],
)
def test_waves_are_read_line_by_line(text: str, waves: tuple[Wave, ...]) -> None:
    assert parse_waves(text) == waves
    assert parse_waves("\n".join(str(wave) for wave in waves)) == waves


@pytest.mark.parametrize("text", ["north", "0%", "101%", "x%", "site=", "=north", "10%\nsite"])
def test_a_wave_that_is_none_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_waves(text)
    assert refused.value.field == "waves"
    assert f"Wave {text.count(chr(10)) + 1}" in refused.value.detail


def test_every_agent_comes_once_and_who_is_in_no_wave_comes_last() -> None:
    agents_by_labels = {f"a{n}": {"site": "north" if n < 3 else "south"} for n in range(10)}
    waves = assign(agents_by_labels, parse_waves("site=north\n50%\nsite=west"), "7")
    assert [(name, len(slugs)) for name, slugs in waves] == [("site=north", 3), ("50%", 2), (THE_REST, 5)]
    assert sorted(slug for _, slugs in waves for slug in slugs) == sorted(agents_by_labels)
    assert assign(agents_by_labels, parse_waves("50%"), "7") == assign(agents_by_labels, parse_waves("50%"), "7")
    assert assign(agents_by_labels, parse_waves("100%"), "7")[0][1] == sorted(agents_by_labels)
    assert assign({}, parse_waves("10%"), "7") == []


SENT = MemberFacts(desired_revision=7, reported_revision=6, reported_error="", reported_at=50, seen_at=95, sent_at=90)


@pytest.mark.parametrize(
    ("facts", "now", "state"),
    [
        (SENT, 100, MemberState.SENT),
        (MemberFacts(7, 7, "", 99, 99, 90), 100, MemberState.RUNNING),
        (MemberFacts(7, 6, "no such driver", 99, 99, 90), 100, MemberState.FAILED),
        (MemberFacts(7, 6, "an old trouble", 50, 95, 90), 100, MemberState.SENT),
        (MemberFacts(8, 6, "", 50, 95, 90), 100, MemberState.SKIPPED),
        (MemberFacts(8, 8, "", 99, 99, 90), 100, MemberState.RUNNING),
        (MemberFacts(7, 6, "", 50, 695, 90), 700, MemberState.FAILED),
        (MemberFacts(7, 6, "", 50, 95, 90), 700, MemberState.AWAY),
        (MemberFacts(7, 6, "", 0, 0, 90), 700, MemberState.AWAY),
    ],
)
def test_what_became_of_an_agent(facts: MemberFacts, now: float, state: MemberState) -> None:
    found, reason = of_member(facts, 7, 600, now)
    assert found == state
    assert bool(reason) == (state in (MemberState.FAILED, MemberState.AWAY, MemberState.SKIPPED))


@pytest.mark.parametrize(
    ("states", "left", "tolerated", "settled", "step"),
    [
        ([MemberState.RUNNING], True, 0, 10, Next.WAIT),
        ([MemberState.RUNNING], True, 0, 60, Next.SEND),
        ([MemberState.RUNNING], False, 0, 0, Next.FINISH),
        ([MemberState.RUNNING, MemberState.SENT], True, 0, 99, Next.WAIT),
        ([MemberState.SENT, MemberState.FAILED], True, 0, 0, Next.HALT),
        ([MemberState.RUNNING, MemberState.FAILED], True, 1, 60, Next.SEND),
        ([MemberState.FAILED, MemberState.FAILED], False, 1, 60, Next.HALT),
        ([MemberState.AWAY], True, 0, 60, Next.SEND),
        ([MemberState.AWAY, MemberState.SKIPPED], False, 0, 0, Next.FINISH),
        ([], False, 0, 0, Next.FINISH),
    ],
)
def test_what_a_rollout_does_next(states: list[MemberState], left: bool, tolerated: int, settled: float, step: Next) -> None:
    assert next_step(states, waves_left=left, tolerated=tolerated, settled_seconds=settled, pause=60) == step


def test_the_first_wave_goes_out_at_once_and_the_others_keep_what_they_run(fleet: clock.ManualClock) -> None:
    before = service.latest_number()
    revision = change("/new")
    assert wanted("n1", "n2") == {revision.number}
    assert wanted("s1", "s2", "s3") == {before}
    assert runs("n1") == "/new"
    assert runs("s1") == "/data", "the configuration of an agent that waits is the older revision's"
    assert not agents.has_drifted(Agent.objects.get(slug="s1"))


def test_the_next_wave_goes_out_when_the_first_runs_and_the_pause_is_over(fleet: clock.ManualClock) -> None:
    revision = change("/new")
    obey("n1")
    rollouts.advance_all()
    fleet.advance(61)
    rollouts.advance_all()
    assert reach(revision.number, "s1") == MemberState.WAITING, "n2 has not reported"
    obey("n2")
    rollouts.advance_all()
    assert reach(revision.number, "s1") == MemberState.WAITING, "the pause begins when the last one settled"
    fleet.advance(61)
    rollouts.advance_all()
    assert (runs("s1"), reach(revision.number, "s1")) == ("/new", MemberState.SENT)
    for name in ("s1", "s2", "s3"):
        obey(name)
    rollouts.advance_all()
    assert state_of(revision.number) == RolloutState.DONE
    assert set(Rollout.objects.get().members.values_list("state", flat=True)) == {MemberState.RUNNING}


def test_an_agent_that_refuses_halts_the_rollout_and_the_rest_never_gets_it(fleet: clock.ManualClock) -> None:
    revision = change("/new")
    refuse("n1", "no such directory /new")
    obey("n2")
    rollouts.advance_all()
    rollout = Rollout.objects.get(pk=revision.number)
    assert rollout.state == RolloutState.HALTED
    assert "n1: no such directory /new" in rollout.halted_because
    fleet.advance(3600)
    rollouts.advance_all()
    assert runs("s1") == "/data"
    entry = AuditEntry.objects.get(verb="rollout.halt")
    assert (entry.actor, entry.target) == ("rollout", f"rollouts.{revision.number}")


def test_a_connected_agent_that_stays_silent_halts_it_one_that_is_away_does_not(fleet: clock.ManualClock) -> None:
    revision = change("/new")
    fleet.advance(601)
    Agent.objects.filter(slug="n1").update(last_seen_at=clock.now_datetime())
    rollouts.advance_all()
    assert reach(revision.number, "n1") == MemberState.FAILED
    assert reach(revision.number, "n2") == MemberState.AWAY
    assert state_of(revision.number) == RolloutState.HALTED
    obey("n1")
    obey("n2")
    rollouts.advance_all()
    assert {reach(revision.number, name) for name in ("n1", "n2")} == {MemberState.RUNNING}, "late is better than never"


def test_going_on_tolerates_the_failures_so_far_and_no_more(fleet: clock.ManualClock) -> None:
    revision = change("/new")
    refuse("n1")
    obey("n2")
    rollouts.advance_all()
    rollouts.go_on(revision.number, Actor("anna"))
    assert reach(revision.number, "s1") == MemberState.SENT
    rollouts.advance_all()
    assert state_of(revision.number) == RolloutState.RUNNING
    refuse("s1")
    rollouts.advance_all()
    assert state_of(revision.number) == RolloutState.HALTED


def test_sending_to_all_now_waits_for_nobody(fleet: clock.ManualClock) -> None:
    revision = change("/new", Terms(parse_waves("site=north\n80%")))
    rollouts.send_to_all(revision.number, Actor("anna"))
    assert wanted(*HOSTS) == {revision.number}


def test_rolling_back_restores_through_validation_and_keeps_the_failed_revision_on_record(fleet: clock.ManualClock) -> None:
    before = service.latest_number()
    revision = change("/new")
    refuse("n1")
    rollouts.advance_all()
    _plan, back = rollouts.roll_back(revision.number, service.Author("ben"))
    assert back is not None
    assert (back.restores_id, back.author, back.message) == (before, "ben", f"Roll back revision {revision.number}")
    assert {runs(name) for name in HOSTS} == {"/data"}
    assert wanted("n1", "n2") == {back.number}
    assert wanted("s1", "s2", "s3") == {before}, "who never got it notices nothing"
    failed = Rollout.objects.get(pk=revision.number)
    assert (failed.state, failed.revision.document["sources"]["data"]["uri"]) == (RolloutState.ROLLED_BACK, "/new")
    assert "n1" in failed.halted_because
    with pytest.raises(Conflict):
        rollouts.roll_back(revision.number, ANNA)


def test_rolling_back_keeps_what_was_changed_since(fleet: clock.ManualClock) -> None:
    revision = change("/new")
    services.edit_object("views", "beta", {"name": "Beta"}, service.Author("ben"))
    _plan, back = rollouts.roll_back(revision.number, ANNA)
    assert back is not None
    assert back.document["views"]["beta"]["name"] == "Beta"
    assert back.document["sources"]["data"]["uri"] == "/data"


def test_rolling_back_what_was_changed_again_is_refused(fleet: clock.ManualClock) -> None:
    revision = change("/new")
    rollouts.send_to_all(revision.number, Actor("anna"))
    change("/newer", terms=None)
    with pytest.raises(Conflict) as refused:
        rollouts.roll_back(revision.number, ANNA)
    assert "sources.data.uri" in refused.value.detail


def test_no_change_overtakes_a_wave(fleet: clock.ManualClock) -> None:
    revision = change("/new")
    with pytest.raises(Conflict) as refused:
        change("/newer", terms=None)
    assert (refused.value.code, refused.value.extra) == ("rollout_open", {"rollout": revision.number})
    services.edit_object("pipes", "one", {"session_timeout_seconds": 9}, ANNA)
    with pytest.raises(Conflict):
        change("/newer")


def test_after_a_stop_the_rest_keeps_what_it_runs_until_a_later_change_takes_it_along(fleet: clock.ManualClock) -> None:
    revision = change("/new")
    rollouts.cancel(revision.number, Actor("anna"))
    rollouts.advance_all()
    assert runs("s1") == "/data"
    _plan, later = services.edit_object("agents", "n1", {"name": "North one"}, ANNA)
    assert later is not None
    assert runs("s1") == "/new", "the later revision says so"
    assert wanted("s1", "s2", "s3") == {later.number}
    assert reach(revision.number, "s1") == MemberState.SKIPPED
    with pytest.raises(Conflict):
        rollouts.go_on(revision.number, Actor("anna"))


def test_a_change_that_concerns_no_agent_makes_no_rollout(fleet: clock.ManualClock) -> None:
    document = services.document_with("views", "gamma", {})
    service.change(service.Wanted(document), ANNA, terms=TERMS)
    assert not Rollout.objects.exists()
    with pytest.raises(NotFound):
        rollouts.find(service.latest_number())


def test_terms_that_make_no_sense_are_refused_at_their_field(fleet: clock.ManualClock) -> None:
    for terms, field in (
        (Terms(()), "waves"),
        (Terms(TERMS.waves, tolerated=-1), "tolerated"),
        (Terms(TERMS.waves, pause_seconds=-1), "pause_seconds"),
        (Terms(TERMS.waves, patience_seconds=1e9), "patience_seconds"),
    ):
        with pytest.raises(Invalid) as refused:
            change("/new", terms)
        assert refused.value.field == field
    assert not Rollout.objects.exists()


def test_an_agent_that_joins_in_a_change_with_waves_has_nothing_before_its_wave(fleet: clock.ManualClock) -> None:
    fields = {"labels": {"site": "south"}, "pipes": {"home": {"source": "data", "sender": "here"}}}
    document = services.document_with("agents", "s9", fields)
    sources = services.document_with("sources", "data", {"uri": "/new"})
    both = type(document)(agents=document.agents, sources=sources.sources)
    Agent.objects.create(slug="s9", enrolled_at=clock.now_datetime(), labels={"site": "south"})
    service.change(service.Wanted(both), ANNA, terms=TERMS)
    assert agents.desired(Agent.objects.get(slug="s9"))["config"]["pipes"] == {}


def test_no_wave_waits_for_agents_that_fetch_nothing_from_here(fleet: clock.ManualClock) -> None:
    Agent.objects.filter(slug__in=("n1", "s1")).update(enrolled_at=None)
    revision = change("/new")
    assert set(revision.rollout.members.values_list("agent__slug", flat=True)) == {"n2", "s2", "s3"}
    assert wanted("n1", "s1") == {revision.number}


def test_agents_are_told_by_one_of_their_sessions(fleet: clock.ManualClock) -> None:
    sessions = [session_of(name, number) for number, name in enumerate(("n1", "n1", "s1"))]
    change("/new")
    assert told() == {sessions[1].number}
    change_of_s1 = {"labels": {"site": "south"}, "name": "South one", "pipes": {}}
    rollouts.send_to_all(service.latest_number(), Actor("anna"))
    services.put_object("agents", "s1", change_of_s1, ANNA)
    assert told() == {sessions[1].number, sessions[2].number}
    assert Command.objects.count() == 2, "an order that waits already is not given again"


@pytest.mark.django_db(transaction=True)
def test_any_number_of_workers_send_a_wave_once(fleet: clock.ManualClock) -> None:
    revision = change("/new", Terms(parse_waves("site=north\n80%"), pause_seconds=0))
    obey("n1")
    obey("n2")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: in_a_thread(rollouts.advance_all), range(12)))
    assert Rollout.objects.get(pk=revision.number).wave == 2, "the second wave has not reported"
    assert AuditEntry.objects.filter(verb="rollout.wave").count() == 1


@pytest.mark.django_db(transaction=True)
def test_stopping_and_going_on_at_once_end_in_one_state(fleet: clock.ManualClock) -> None:
    revision = change("/new")
    refuse("n1")
    rollouts.advance_all()
    orders = (rollouts.cancel, rollouts.go_on, rollouts.send_to_all) * 2
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda order: in_a_thread(lambda: order(revision.number, Actor("anna"))), orders))
    rollout = Rollout.objects.get(pk=revision.number)
    assert rollout.state == RolloutState.CANCELLED, "whatever came before, nothing comes after a stop"
    assert (rollout.ended_at is None) == rollout.is_open


def in_a_thread(order: Callable[[], object]) -> None:
    """Run it as another worker would; an order that came too late is refused, and that is fine."""
    try:
        order()
    except Conflict:
        pass
    finally:
        connection.close()


def session_of(agent: str, number: int) -> Session:
    now = clock.now_datetime()
    times = {"created_at": now, "last_active_at": now, "silent_after": now}
    task = f"{agent}:home-{number}"
    return Session.objects.create(pipe=Pipe.objects.get(), task_id=task, agent_name=agent, timeout_seconds=30, **times)


def told() -> set[int]:
    return set(Command.objects.filter(type="reload_config").values_list("session", flat=True))


def test_agents_that_are_left_without_pipes_are_not_waited_for_and_have_not_drifted(fleet: clock.ManualClock) -> None:
    document = services.document_with("agents", "n1", {"labels": {"site": "north"}, "disabled": True})
    sources = services.document_with("sources", "data", {"uri": "/new"})
    both = type(document)(agents=document.agents, sources=sources.sources)
    _plan, revision = service.change(service.Wanted(both), ANNA, terms=TERMS)
    assert revision is not None
    assert set(revision.rollout.members.values_list("agent__slug", flat=True)) == {"n2", "s1", "s2", "s3"}
    assert not agents.has_drifted(Agent.objects.get(slug="n1"))
    rollouts.cancel(revision.number, Actor("anna"))
    services.edit_object("agents", "s1", {"pipes": {}}, ANNA)
    assert reach(revision.number, "s1") == MemberState.SKIPPED
    assert agents.desired(Agent.objects.get(slug="s1"))["config"]["pipes"] == {}
