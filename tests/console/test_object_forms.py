"""Forms of configured objects: made from schemas, checked by the configuration service, safe for two people at once."""

import html
import json
import re
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.pipes import drafts, people, services
from apps.pipes.audit import Actor
from apps.pipes.config import service
from apps.pipes.config.places import OBJECTS
from apps.pipes.config.service import Author
from apps.pipes.models import AgentPipe, Pipe, Receiver, Revision, Sender, Source
from apps.views.models import View

ANNA = Author("anna", "calmer")


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("chief"))
    return client


@pytest.fixture
def lab(db: None) -> None:
    """A receiver, a view, a pipe; a source, a sender, an agent with one agent pipe."""
    services.put_object("receivers", "lab-in", {}, ANNA)
    services.put_object("views", "lab", {"name": "The lab"}, ANNA)
    services.put_object("pipes", "lab", {"receiver": "lab-in", "views": ["lab"]}, ANNA)
    services.put_object("sources", "nas", {"uri": "/data"}, ANNA)
    services.put_object("senders", "here", {}, ANNA)
    services.put_object(
        "agents",
        "host-1",
        {"labels": {"site": "north"}, "pipes": {"home": {"source": "nas", "sender": "here", "pipe": "lab"}}},
        ANNA,
    )


def filled(page: str) -> dict[str, Any]:
    """What a browser would send of the page's form if nobody touched it."""
    form = page[page.index("object-form") :]
    data: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        kind, name = attributes.get("type"), attributes.get("name")
        if name and (kind not in ("checkbox", "radio") or " checked" in tag):
            data.setdefault(name, []).append(html.unescape(attributes.get("value", "on" if kind == "checkbox" else "")))
    for name, body in re.findall(r'<select name="([^"]+)".*?>(.*?)</select>', form, re.DOTALL):
        data[name] = [html.unescape(value) for value in re.findall(r'<option value="([^"]*)"\s+selected', body)]
    for name, text in re.findall(r'<textarea name="([^"]+)"[^>]*>\n?(.*?)</textarea>', form, re.DOTALL):
        data[name] = [html.unescape(text)]
    return {name: values for name, values in data.items() if name != "csrfmiddlewaretoken"}


def opened(admin: Client, url: str) -> dict[str, Any]:
    return filled(admin.get(url).content.decode())


def saved(admin: Client, url: str, data: dict[str, Any], **changes: Any) -> Any:
    return admin.post(url, {**data, **changes, "step": "save"})


OBJECT_IDS = {
    "receivers": "lab-in",
    "views": "lab",
    "pipes": "lab",
    "sources": "nas",
    "senders": "here",
    "agents": "host-1",
    "agent-pipes": "host-1:home",
}


def test_every_kind_has_a_form_that_saves_nothing_when_nothing_is_touched(admin: Client, lab: None) -> None:
    assert OBJECT_IDS.keys() == OBJECTS.keys()
    before = service.latest_number()
    for kind, ident in OBJECT_IDS.items():
        url = f"/configuration/{kind}/{ident}/edit/"
        response = saved(admin, url, opened(admin, url))
        assert response.status_code == 302, (kind, response.content.decode())
    assert service.latest_number() == before


def test_every_kind_has_a_page_that_says_what_is_configured(admin: Client, lab: None) -> None:
    for kind, ident in OBJECT_IDS.items():
        response = admin.get(f"/configuration/{kind}/{ident}/")
        assert response.status_code == 200, kind
        assert ident in response.content.decode()
    assert "host-1:home" in admin.get("/configuration/sources/nas/").content.decode()


def test_a_whole_way_is_made_with_forms_alone(admin: Client) -> None:
    def make(kind: str, **fields: Any) -> None:
        url = f"/configuration/new/{kind}/"
        response = saved(admin, url, opened(admin, url), **fields)
        assert response.status_code == 302, (kind, response.content.decode())

    make("receivers", id="in", **{"driver_params.max_body_bytes": "2 MiB"})
    make("views", id="v", **{"driver_params.hot_file_threshold": "2 min"})
    make("pipes", id="p", receiver="in", views=["v"], audit_interval_sec="1 h")
    make("sources", id="nas", uri="/data", **{"driver_params.exclude": "*.tmp\n.snapshot"})
    make("senders", id="here", credential="env: FUSTOR_KEY")
    make("agents", id="host-1", labels="site: north\nrack: 4")
    make("agent-pipes", agent="host-1", id="home", source="nas", sender="here", pipe="p")
    assert Receiver.objects.get().settings == {"max_body_bytes": 2 * 1024 * 1024}
    assert View.objects.get().hot_file_threshold == 120
    assert Pipe.objects.get().audit_interval_sec == 3600
    assert Source.objects.get().settings == {"exclude": ["*.tmp", ".snapshot"]}
    assert Sender.objects.get().credential == {"env": "FUSTOR_KEY"}
    assert AgentPipe.objects.get().agent.labels == {"site": "north", "rack": "4"}
    assert Revision.objects.count() == 7


def test_reasons_stand_at_their_fields_and_are_those_of_the_api(admin: Client, lab: None) -> None:
    url = "/configuration/views/lab/edit/"
    wrong = {"driver_params.hot_file_threshold": "-1 s", "driver_params.brake_share": "7", "driver_params.brake_rows": "0"}
    page = saved(admin, url, opened(admin, url), **wrong).content.decode()
    assert "Not a time" in page
    response = saved(admin, url, opened(admin, url), **wrong | {"driver_params.hot_file_threshold": "400 d"})
    assert response.status_code == 422
    faults = admin.put(
        "/api/v1/manage/objects/views/lab",
        json.dumps({"fields": {"driver_params": {"hot_file_threshold": 400 * 86400, "brake_share": 7, "brake_rows": 0}}}),
        content_type="application/json",
    ).json()["faults"]
    assert len(faults) == 3
    for fault in faults:
        name = fault["where"].removeprefix("views.lab.")
        block = response.content.decode().partition(f'id="id_{name}_error"')[2][:400]
        assert html.escape(fault["what"]) in block, name


def test_a_missing_reference_is_told_where_it_is_chosen(admin: Client, lab: None) -> None:
    url = "/configuration/pipes/lab/edit/"
    response = saved(admin, url, opened(admin, url), receiver="gone", views=[])
    page = response.content.decode()
    assert response.status_code == 422
    assert "There is no receiver" in page.partition('id="id_receiver_error"')[2][:300]
    assert "at least one view" in page.partition('id="id_views_error"')[2][:300]
    assert 'value="0 s"' not in page


def test_an_id_that_is_taken_or_none_is_refused_at_the_id(admin: Client, lab: None) -> None:
    url = "/configuration/new/receivers/"
    taken = saved(admin, url, opened(admin, url), id="lab-in")
    assert taken.status_code == 409
    assert "already" in taken.content.decode().partition('id="id_id_error"')[2][:300]
    for ident in ("", "../x", "a b", "x" * 101):
        response = saved(admin, url, opened(admin, url), id=ident)
        assert response.status_code == 422, ident
        assert 'id="id_id_error"' in response.content.decode()
    assert Receiver.objects.count() == 1


def test_two_people_with_different_fields_both_get_their_way(admin: Client, lab: None) -> None:
    url = "/configuration/pipes/lab/edit/"
    mine = opened(admin, url)
    services.edit_object("pipes", "lab", {"audit_interval_sec": 1200}, ANNA)
    refused = saved(admin, url, mine, session_timeout_seconds="45 s")
    page = refused.content.decode()
    assert refused.status_code == 409
    assert "anna did, in revision" in page
    assert "calmer" in page
    assert "Apply mine on top" in page
    assert Pipe.objects.get().session_timeout_seconds == 30
    assert saved(admin, url, filled(page)).status_code == 302
    pipe = Pipe.objects.get()
    assert (pipe.session_timeout_seconds, pipe.audit_interval_sec) == (45, 1200)


def test_two_people_with_the_same_field_see_both_values_before_one_wins(admin: Client, lab: None) -> None:
    url = "/configuration/views/lab/edit/"
    mine = opened(admin, url)
    services.edit_object("views", "lab", {"driver_params": {"hot_file_threshold": 90}}, ANNA)
    refused = saved(admin, url, mine, **{"driver_params.hot_file_threshold": "2 min"})
    page = refused.content.decode()
    assert refused.status_code == 409
    assert "Save mine over theirs" in page
    assert re.search(r"30 s</del>.*90 s</ins> · yours <strong>2 min</strong>", page, re.DOTALL)
    assert View.objects.get().hot_file_threshold == 90
    assert saved(admin, url, filled(page)).status_code == 302
    assert View.objects.get().hot_file_threshold == 120


def test_a_change_of_another_object_is_no_conflict(admin: Client, lab: None) -> None:
    url = "/configuration/agents/host-1/edit/"
    mine = opened(admin, url)
    services.edit_object("pipes", "lab", {"audit_interval_sec": 1200}, ANNA)
    data = opened(admin, "/configuration/agent-pipes/host-1:home/edit/")
    assert saved(admin, "/configuration/agent-pipes/host-1:home/edit/", data, name="The home").status_code == 302
    assert saved(admin, url, mine, labels="site: south").status_code == 302
    pipe = AgentPipe.objects.get()
    assert (pipe.name, pipe.agent.labels) == ("The home", {"site": "south"})


def test_what_was_deleted_meanwhile_can_be_made_again(admin: Client, lab: None) -> None:
    url = "/configuration/sources/nas/edit/"
    services.put_object("sources", "spare", {"uri": "/spare"}, ANNA)
    mine = opened(admin, "/configuration/sources/spare/edit/")
    services.delete_object("sources", "spare", ANNA)
    refused = saved(admin, url.replace("nas", "spare"), mine, uri="/new")
    page = refused.content.decode()
    assert refused.status_code == 409
    assert "Somebody deleted it" in page
    assert 'action="/configuration/new/sources/"' in page
    assert saved(admin, "/configuration/new/sources/", filled(page)).status_code == 302
    assert Source.objects.get(slug="spare").uri == "/new"


def test_a_form_that_lost_its_origin_saves_nothing(admin: Client, lab: None) -> None:
    url = "/configuration/pipes/lab/edit/"
    data = opened(admin, url) | {"seen": "[1"}
    assert saved(admin, url, data, session_timeout_seconds="45 s").headers["Location"] == url
    assert Pipe.objects.get().session_timeout_seconds == 30


def test_another_driver_shows_its_settings_before_it_is_saved(admin: Client, lab: None) -> None:
    url = "/configuration/senders/here/edit/"
    response = saved(admin, url, opened(admin, url), driver="echo")
    page = response.content.decode()
    assert response.status_code == 200
    assert "driver_params.compression" not in page
    assert "those of the driver that you chose" in page
    assert Sender.objects.get().driver == "http"
    assert saved(admin, url, filled(page)).status_code == 302
    assert Sender.objects.get().driver == "echo"


def test_a_copy_starts_from_the_other_and_wants_its_own_id(admin: Client, lab: None) -> None:
    services.edit_object("pipes", "lab", {"audit_interval_sec": 1200}, ANNA)
    url = "/configuration/new/pipes/?like=lab"
    data = opened(admin, url)
    assert data["id"] == [""]
    assert saved(admin, url, data, id="copy").status_code == 302
    assert Pipe.objects.get(slug="copy").audit_interval_sec == 1200


def test_what_is_needed_first_is_made_and_chosen_on_the_way_back(admin: Client) -> None:
    page = admin.get("/configuration/new/pipes/").content.decode()
    assert "There are no receivers yet" in page
    link = html.unescape(re.findall(r'href="(/configuration/new/receivers/[^"]*)"', page)[0])
    back = saved(admin, link, opened(admin, link), id="in").headers["Location"]
    assert back == "/configuration/new/pipes/?receiver=in"
    link = html.unescape(re.findall(r'href="(/configuration/new/views/[^"]*)"', admin.get(back).content.decode())[0])
    back = saved(admin, link, opened(admin, link), id="v").headers["Location"]
    data = opened(admin, back)
    assert (data["receiver"], data["views"]) == (["in"], ["v"])
    elsewhere = saved(admin, "/configuration/new/views/?next=https://evil.example/", {"id": "w", "next": "https://evil.example/"})
    assert elsewhere.headers["Location"] == "/configuration/views/w/"


def test_switching_off_and_on_is_one_revision_each(admin: Client, lab: None) -> None:
    before = service.latest_number()
    admin.post("/configuration/agent-pipes/host-1:home/switch/", {"on": "no"})
    assert AgentPipe.objects.get().enabled is False
    admin.post("/configuration/agent-pipes/host-1:home/switch/", {"on": "yes"})
    assert AgentPipe.objects.get().enabled is True
    latest = Revision.objects.order_by("-number")[:2]
    assert [revision.message for revision in latest] == [
        "Switch agents.host-1.pipes.home on",
        "Switch agents.host-1.pipes.home off",
    ]
    assert service.latest_number() - before == 2


def test_what_is_used_cannot_be_deleted_and_says_by_what(admin: Client, lab: None) -> None:
    page = admin.get("/configuration/receivers/lab-in/delete/").content.decode()
    assert "cannot go while these need it" in page
    assert "/configuration/pipes/lab/" in page
    assert admin.post("/configuration/receivers/lab-in/delete/", {"base": service.latest_number()}).status_code == 422
    assert Receiver.objects.exists()


def test_deleting_names_the_consequences_first(admin: Client, lab: None) -> None:
    services.delete_object("agents", "host-1", ANNA)
    key, _secret = services.issue_key(ANNA.actor, "receiver", "old", receiver=Receiver.objects.get(), pipes=[Pipe.objects.get()])
    page = admin.get("/configuration/pipes/lab/delete/").content.decode()
    assert "1 key opens nothing any more" in page
    assert Pipe.objects.exists()
    admin.post("/configuration/pipes/lab/delete/", {"base": service.latest_number()})
    key.refresh_from_db()
    assert not Pipe.objects.exists()
    assert key.revoked_because == "removed"
    page = admin.get("/configuration/views/lab/delete/").content.decode()
    assert "forgotten, for good" in page
    stale = admin.post("/configuration/views/lab/delete/", {"base": service.latest_number() - 1})
    assert stale.status_code == 409
    assert View.objects.exists()
    again = filled(stale.content.decode().replace("form-card", "object-form", 1))
    assert admin.post("/configuration/views/lab/delete/", {"base": again["base"]}).status_code == 302
    assert not View.objects.exists()


@pytest.mark.parametrize(("role", "pages", "orders"), [("viewer", 200, 403), ("operator", 200, 403), ("admin", 200, 200)])
def test_everybody_looks_and_admins_change(lab: None, client: Client, role: str, pages: int, orders: int) -> None:
    user = people.create(Actor("root"), "somebody", "correct-horse-battery", role)
    client.force_login(user)
    shown = client.get("/configuration/pipes/lab/")
    assert shown.status_code == pages
    assert ("Edit" in shown.content.decode()) is (role == "admin")
    for url in ("/configuration/new/pipes/", "/configuration/pipes/lab/edit/", "/configuration/pipes/lab/delete/"):
        assert client.get(url).status_code == orders, url
    switched = client.post("/configuration/pipes/lab/switch/", {"on": "no"})
    assert (switched.status_code == 403) is (orders == 403)
    assert Pipe.objects.get().enabled is (orders == 403)


def test_a_restricted_viewer_does_not_see_what_belongs_to_no_view(lab: None, client: Client) -> None:
    user = people.create(Actor("root"), "guest", "correct-horse-battery", "viewer", [View.objects.get()])
    client.force_login(user)
    assert client.get("/configuration/pipes/lab/").status_code == 403


def test_what_does_not_exist_is_not_found(admin: Client, lab: None) -> None:
    for url in (
        "/configuration/new/keys/",
        "/configuration/pipes/none/",
        "/configuration/pipes/none/edit/",
        "/configuration/pipes/none/delete/",
        "/configuration/agent-pipes/host-1/",
        "/configuration/agent-pipes/none:none/edit/",
    ):
        assert admin.get(url).status_code == 404, url


def test_a_draft_takes_edits_that_build_on_each_other(admin: Client, lab: None) -> None:
    def drafted(url: str, data: dict[str, Any], **changes: Any) -> Any:
        return admin.post(url, {**data, **changes, "step": "draft"})

    before = service.latest_number()
    url = "/configuration/new/receivers/"
    assert drafted(url, opened(admin, url), id="spare").headers["Location"] == "/changes/draft/"
    url = "/configuration/new/pipes/"
    page = admin.get(url).content.decode()
    assert "spare (in your draft)" in page
    assert drafted(url, filled(page), id="spare", receiver="spare", views=["lab"]).status_code == 302
    url = "/configuration/pipes/lab/edit/"
    mine = opened(admin, url)
    drafted(url, mine, audit_interval_sec="1 h")
    assert "Your draft says something else" in admin.get(url).content.decode()
    drafted(url, mine, session_timeout_seconds="45 s")
    assert service.latest_number() == before
    drafts.apply(drafts.of("chief"), Author("chief"))
    assert Pipe.objects.get(slug="spare").receiver.slug == "spare"
    pipe = Pipe.objects.get(slug="lab")
    assert (pipe.audit_interval_sec, pipe.session_timeout_seconds) == (3600, 45)


def test_a_draft_refuses_what_is_wrong_with_the_object_itself(admin: Client, lab: None) -> None:
    url = "/configuration/pipes/lab/edit/"
    response = admin.post(url, {**opened(admin, url), "views": [], "step": "draft"})
    assert response.status_code == 422
    assert "at least one view" in response.content.decode()


def test_a_deletion_can_wait_in_the_draft(admin: Client, lab: None) -> None:
    admin.post("/configuration/agent-pipes/host-1:home/delete/", {"step": "draft"})
    assert AgentPipe.objects.exists()
    drafts.apply(drafts.of("chief"), Author("chief"))
    assert not AgentPipe.objects.exists()


def many(start: int, number: int) -> None:
    """More objects of every kind, all in use."""
    for item in range(start, start + number):
        name = f"n{item}"
        services.put_object("receivers", name, {}, ANNA)
        services.put_object("views", name, {}, ANNA)
        services.put_object("pipes", name, {"receiver": name, "views": [name]}, ANNA)
        services.put_object("sources", name, {"uri": f"/{name}"}, ANNA)
        services.put_object("agents", name, {"pipes": {"home": {"source": name, "sender": "here", "pipe": "lab"}}}, ANNA)


def test_more_objects_cost_no_more_queries(admin: Client, lab: None) -> None:
    urls = [f"/configuration/{kind}/{ident}/{page}" for kind, ident in OBJECT_IDS.items() for page in ("", "edit/", "delete/")]
    urls += [f"/configuration/new/{kind}/" for kind in OBJECTS]

    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert admin.get(url).status_code == 200, url
        return len(captured)

    many(0, 2)
    few = {url: queries(url) for url in urls}
    many(2, 8)
    assert {url: queries(url) for url in urls} == few
    assert max(few.values()) <= 40


def test_a_new_object_says_what_comes_next(admin: Client, lab: None) -> None:
    services.put_object("pipes", "fresh", {"receiver": "lab-in", "views": ["lab"]}, ANNA)
    page = admin.get("/configuration/pipes/fresh/").content.decode()
    assert "/configuration/new/agent-pipes/?pipe=fresh" in page
    assert "Enrol a host" in page
    data = opened(admin, "/configuration/new/agent-pipes/?pipe=fresh")
    assert data["pipe"] == ["fresh"]
