"""The frame of every list: counts that filter, search, sort, sizes and pages in the URL; orders on many rows; 10,000 rows."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db.models import Q
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from apps.pipes.keys import create_key
from apps.pipes.models import Agent, AgentPipe, ApiKey, Person, Pipe, Receiver, Revision, Sender, Source
from apps.runtime import clock
from apps.runtime.listing import Choice, ListSpec, Tab, listing, matching
from apps.runtime.templatetags.console import section_of
from apps.sessions.models import Command, Job, Session
from apps.views.models import View
from tests.console.conftest import Fleet, build_fleet
from tests.console.test_pages import queries_of

LISTS = ("pipes", "views", "agents", "receivers", "sources", "senders", "agent_pipes", "keys", "jobs", "sessions")
SPEC = ListSpec(
    sorts={"id": ("slug",), "newest": ("-updated_at",)},
    search=("slug", "name"),
    tabs=(Tab("on", "On", Q(enabled=True)), Tab("off", "Off", Q(enabled=False))),
    choices=(Choice("driver", "Every driver", [("fs", "fs"), ("tape", "tape")], "driver"),),
    key="slug",
)


@pytest.fixture
def sources(db: None) -> None:
    Source.objects.bulk_create(
        Source(slug=f"s{number:03}", uri="/data", enabled=number % 3 != 0, driver="fs" if number % 2 else "tape")
        for number in range(120)
    )


@pytest.fixture
def chief(db: None, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("chief"))
    return client


def slugs(query: str, spec: ListSpec = SPEC) -> list[str]:
    return [row.slug for row in listing(Source.objects.all(), QueryDict(query), spec).chunk]


@pytest.mark.usefixtures("sources")
def test_counts_follow_search_and_choices_and_the_tab_filters() -> None:
    found = listing(Source.objects.all(), QueryDict("q=s00&driver=fs&state=on"), SPEC)
    assert {tab.name: tab.count for tab in found.tabs} == {"on": 3, "off": 2}
    assert (found.total, [row.slug for row in found.chunk]) == (3, ["s001", "s005", "s007"])
    assert found.is_filtered


@pytest.mark.usefixtures("sources")
def test_sort_page_and_size_come_from_the_url() -> None:
    assert slugs("size=25&page=2")[0] == "s025"
    assert slugs("sort=-id")[0] == "s119"
    assert not listing(Source.objects.all(), QueryDict(""), SPEC).is_descending
    assert listing(Source.objects.all(), QueryDict("sort=newest"), SPEC).is_descending
    assert not listing(Source.objects.all(), QueryDict("sort=-newest"), SPEC).is_descending
    assert slugs("page=99&size=100") == [f"s{number:03}" for number in range(100, 120)]
    assert len(slugs("")) == 50


@pytest.mark.usefixtures("sources")
@pytest.mark.parametrize("query", ["sort=owner", "size=7", "page=x", "state=who", "driver=disk", "sort=--id"])
def test_what_the_url_asks_and_is_unknown_is_left_aside(query: str) -> None:
    assert slugs(query) == slugs("")


@pytest.mark.usefixtures("sources")
def test_a_list_may_begin_with_a_tab_and_show_all_on_request() -> None:
    spec = ListSpec(sorts=SPEC.sorts, tabs=SPEC.tabs, tab="off")
    assert listing(Source.objects.all(), QueryDict(""), spec).total == 40
    assert listing(Source.objects.all(), QueryDict("state=all"), spec).total == 120
    assert not listing(Source.objects.all(), QueryDict(""), spec).is_filtered


@pytest.mark.usefixtures("sources")
def test_all_that_match_are_on_every_page() -> None:
    assert matching(Source.objects.all(), QueryDict("state=off&page=3&size=25"), SPEC).count() == 40


def test_every_list_has_its_frame(fleet: Fleet, chief: Client) -> None:
    for name in LISTS:
        html = chief.get(reverse(name)).content.decode()
        assert 'class="pills"' in html, name
        assert 'role="search"' in html, name
        assert chief.get(reverse(name) + "?q=nothing-has-this-name").status_code == 200
        assert "Nothing matches" in chief.get(reverse(name) + "?q=nothing-has-this-name").content.decode(), name


def test_every_sort_of_every_list_works_both_ways(fleet: Fleet, chief: Client) -> None:
    for name in LISTS:
        spec = chief.get(reverse(name)).context["list"].spec
        for sort in spec.sorts:
            for turned in ("", "-"):
                answer = chief.get(f"{reverse(name)}?sort={turned}{sort}&state=all")
                assert answer.status_code == 200, (name, sort)
                assert answer.context["list"].sort == f"{turned}{sort}"


def test_a_search_keeps_the_filters_and_a_filter_keeps_the_search(fleet: Fleet, chief: Client) -> None:
    html = chief.get("/jobs/?state=FAILED&kind=audit&q=a").content.decode()
    assert '<input type="hidden" name="state" value="FAILED">' in html
    assert 'href="?kind=audit&amp;q=a&amp;state=RUNNING"' in html or 'href="?kind=audit&q=a&state=RUNNING"' in html


def many(fleet: Fleet, first: int, count: int) -> None:
    """`count` more of everything that is listed."""
    now = clock.now_datetime()
    names = [f"more-{number:05}" for number in range(first, first + count)]
    source, _ = Source.objects.get_or_create(slug="data", uri="/data")
    sender, _ = Sender.objects.get_or_create(slug="here")
    for model in (Source, Sender, Receiver, View):
        model._default_manager.bulk_create(model(slug=name) for name in names)
    agents = Agent.objects.bulk_create(Agent(slug=name, enrolled_at=now, last_seen_at=now) for name in names)
    AgentPipe.objects.bulk_create(AgentPipe(slug="home", agent=agent, source=source, sender=sender) for agent in agents)
    Pipe.objects.bulk_create(Pipe(slug=name, receiver=fleet.pipe.receiver) for name in names)
    ApiKey.objects.bulk_create(ApiKey(ref=name, digest=name, kind="query", prefix="fk", last_four="last") for name in names)
    times = {"created_at": now, "last_active_at": now, "silent_after": now + timedelta(hours=1)}
    Session.objects.bulk_create(
        Session(pipe=fleet.pipe, task_id=f"{name}:home", agent_name=name, timeout_seconds=30, **times) for name in names
    )
    Job.objects.bulk_create(Job(kind="audit", state="DONE", pipe=fleet.pipe, created_at=now, finished_at=now) for _ in names)


@pytest.mark.slow
def test_every_list_costs_the_same_queries_for_a_hundred_and_for_ten_thousand_rows(fleet: Fleet, chief: Client) -> None:
    many(fleet, 0, 100)
    urls = [f"{reverse(name)}?state=all" for name in LISTS]
    before = {url: queries_of(chief, url) for url in urls}
    many(fleet, 100, 9_900)
    assert {url: queries_of(chief, url) for url in urls} == before
    assert max(before.values()) <= 25


def test_an_order_on_ticked_rows_asks_first_and_names_count_and_consequence(fleet: Fleet, chief: Client) -> None:
    other = build_fleet("other")
    form = {"order": "disable", "pick": [fleet.pipe.slug, other.pipe.slug]}
    question = chief.post("/orders/pipes/", form).content.decode()
    assert "Disable 2 pipes?" in question
    assert "Their live sessions end" in question
    assert fleet.pipe.slug in question
    assert Pipe.objects.filter(enabled=True).count() == 2, "nothing happened yet"
    before = Revision.objects.count()
    done = chief.post("/orders/pipes/", {**form, "confirmed": "2"}, follow=True)
    assert not Pipe.objects.filter(enabled=True).exists()
    assert Revision.objects.count() == before + 1, "one revision for all"
    assert "Done as revision" in done.content.decode()


def test_all_that_match_means_every_page_and_only_what_the_filters_leave(sources: None, chief: Client) -> None:
    url = "/orders/sources/?state=on&q=s00&size=25"
    question = chief.post(url, {"order": "disable", "all": "1"}).content.decode()
    assert "Disable 6 sources?" in question
    chief.post(url, {"order": "disable", "all": "1", "confirmed": "6"})
    assert Source.objects.filter(enabled=True).count() == 74


def test_when_other_rows_match_meanwhile_it_asks_again(sources: None, chief: Client) -> None:
    Source.objects.create(slug="s00x", uri="/late")
    answer = chief.post("/orders/sources/?state=on&q=s00", {"order": "disable", "all": "1", "confirmed": "6"}).content.decode()
    assert "Meanwhile other rows match" in answer
    assert "Disable 7 sources?" in answer
    assert Source.objects.filter(enabled=True).count() == 81


def test_nothing_ticked_changes_nothing_and_says_so(fleet: Fleet, chief: Client) -> None:
    answer = chief.post("/orders/pipes/?q=arch", {"order": "disable"}, follow=True)
    assert answer.redirect_chain[0][0] == "/pipes/?q=arch"
    assert "Nothing is chosen" in answer.content.decode()
    assert chief.post("/orders/pipes/", {"order": "fly", "all": "1"}).status_code == 404


def confirmed(chief: Client, name: str, order: str, *picked: object, state: str = "all") -> str:
    form = {"order": order, "pick": [str(key) for key in picked], "confirmed": str(len(picked))}
    return chief.post(f"{reverse(f'bulk_{name}')}?state={state}", form, follow=True).content.decode()


def test_pipes_are_paused_and_go_on(fleet: Fleet, chief: Client) -> None:
    confirmed(chief, "pipes", "pause", fleet.pipe.slug)
    assert Pipe.objects.get().paused
    confirmed(chief, "pipes", "resume", fleet.pipe.slug)
    assert not Pipe.objects.get().paused


def test_views_receivers_and_agents_are_switched(fleet: Fleet, chief: Client) -> None:
    confirmed(chief, "views", "disable", fleet.view.slug)
    confirmed(chief, "receivers", "disable", "archive-in")
    confirmed(chief, "agents", "disable", "archive-host-1")
    assert not View.objects.get().enabled
    assert not Receiver.objects.get().enabled
    assert not Agent.objects.get().enabled
    confirmed(chief, "agents", "enable", "archive-host-1")
    assert Agent.objects.get().enabled


def test_agent_pipes_are_switched_one_by_one_as_one_revision(fleet: Fleet, chief: Client) -> None:
    source, sender = Source.objects.create(slug="data", uri="/data"), Sender.objects.create(slug="here")
    agent = Agent.objects.get()
    pipes = [AgentPipe.objects.create(agent=agent, slug=slug, source=source, sender=sender) for slug in ("a", "b", "c")]
    confirmed(chief, "agent_pipes", "disable", pipes[0].pk, pipes[1].pk)
    assert dict(AgentPipe.objects.values_list("slug", "enabled")) == {"a": False, "b": False, "c": True}
    assert Revision.objects.count() == 1
    confirmed(chief, "agent_pipes", "enable", pipes[0].pk)
    assert AgentPipe.objects.filter(enabled=True).count() == 2


def test_connected_agents_are_asked_to_reload(fleet: Fleet, chief: Client) -> None:
    Agent.objects.update(enrolled_at=clock.now_datetime())
    assert "1 connected agent is asked" in confirmed(chief, "agents", "reload", "archive-host-1")
    assert Command.objects.get().type == "reload_config"


def test_sessions_end_and_jobs_are_cancelled_and_retried(fleet: Fleet, chief: Client) -> None:
    told = confirmed(chief, "jobs", "cancel", fleet.running.pk, fleet.failed.pk)
    assert "Done for 1." in told
    assert "Refused for 1" in told
    confirmed(chief, "sessions", "end", fleet.leader.number, fleet.follower.number, state="live")
    assert not Session.objects.filter(ended_at=None).exists()


def test_many_keys_are_revoked_as_one_revision(fleet: Fleet, chief: Client) -> None:
    create_key("query", views=[fleet.view])
    refs = list(ApiKey.objects.values_list("ref", flat=True))
    session = chief.session
    session["proven_at"] = clock.now()
    session.save()
    confirmed(chief, "keys", "revoke", *refs)
    assert not ApiKey.objects.filter(revoked_at=None).exists()
    assert Revision.objects.count() == 1


def test_revoking_many_keys_asks_who_is_there(fleet: Fleet, chief: Client) -> None:
    session = chief.session
    session.pop("proven_at", None)
    session.save()
    refs = list(ApiKey.objects.values_list("ref", flat=True))
    assert chief.post("/orders/keys/", {"order": "revoke", "pick": refs, "confirmed": "1"}).status_code == 403
    assert ApiKey.objects.filter(revoked_at=None).exists()


def test_who_may_not_is_shown_no_box_and_refused(fleet: Fleet, reader: Client) -> None:
    for name in LISTS:
        answer = reader.get(reverse(name))
        assert answer.status_code == 200, name
        assert 'form="bulk"' not in answer.content.decode(), name
        assert reader.post(reverse(f"bulk_{name}"), {"order": "disable", "all": "1"}).status_code == 403, name


def test_an_operator_is_offered_what_an_operator_may(fleet: Fleet, client: Client) -> None:
    user = get_user_model().objects.create_user("olga")
    Person.objects.update_or_create(user=user, defaults={"role": "operator"})
    client.force_login(get_user_model().objects.get(username="olga"))
    html = client.get("/pipes/").content.decode()
    assert 'name="order" value="pause"' in html
    assert 'name="order" value="disable"' not in html
    assert client.post("/orders/pipes/", {"order": "disable", "all": "1"}).status_code == 403


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("/", "/"),
        ("/audit/", "/changes/"),
        ("/configuration/", "/changes/"),
        ("/configuration/pipes/a/edit/", "/pipes/"),
        ("/configuration/new/agent-pipes/", "/agents/"),
        ("/configuration/agents/host/", "/agents/"),
        ("/orders/receivers/", "/receivers/"),
        ("/changes/3/rollout/", "/changes/"),
        ("/agents/pending/", "/agents/"),
        ("/people/anna/", "/people/"),
        ("/views/a/tree/", "/views/"),
        ("/profile/", ""),
    ],
)
def test_every_page_lights_its_entry_of_the_menu(path: str, section: str) -> None:
    assert section_of(path) == section
