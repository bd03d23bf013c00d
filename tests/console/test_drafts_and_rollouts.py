"""Drafts and rollouts in the browser: look, apply in waves, bring up to date, stop and roll back; who may and who may not."""

import io
import zipfile

import pytest
from django.contrib.auth import get_user_model
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.pipes import agents, drafts, services
from apps.pipes.config import service
from apps.pipes.config.plan import Change
from apps.pipes.models import Agent, Draft, Pipe, Revision, Rollout, RolloutState
from apps.pipes.rollouts import service as rollouts
from apps.pipes.rollouts.waves import Terms, parse_waves
from apps.pipes.templatetags.configured import leaves, plain
from apps.runtime import clock
from apps.runtime.problems import Conflict
from apps.views.models import View
from tests.console.conftest import Fleet, parts_of
from tests.console.test_pages import queries_of
from tests.pipes.conftest import load

ANNA = service.Author("anna", "faster disks")
FLEET = """
sources: {data: {uri: /data}}
senders: {here: {uri: 'http://localhost'}}
agents:
  n1: {labels: {site: north}, pipes: {home: {source: data, sender: here, pipe: archive-pipe}}}
  s1: {labels: {site: south}, pipes: {home: {source: data, sender: here, pipe: archive-pipe}}}
"""


@pytest.fixture
def chief(db: None, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("chief"))
    return client


@pytest.fixture
def hosts(fleet: Fleet) -> None:
    load(FLEET)
    Agent.objects.filter(slug__in=("n1", "s1")).update(enrolled_at=clock.now_datetime(), last_seen_at=clock.now_datetime())


@pytest.fixture
def rollout(hosts: None) -> Rollout:
    document = services.document_with("sources", "data", {"uri": "/new"})
    _plan, revision = service.change(service.Wanted(document), ANNA, terms=Terms(parse_waves("site=north")))
    assert revision is not None
    return revision.rollout


def refuse(name: str) -> None:
    agents.report(Agent.objects.get(slug=name), 1, "no such directory /new")
    rollouts.advance_all()


def test_without_a_draft_the_page_says_how_to_make_one(chief: Client) -> None:
    assert "You have no draft" in chief.get("/changes/draft/").content.decode()


def test_the_draft_shows_what_changes_and_who_notices(chief: Client, hosts: None) -> None:
    drafts.put_object("chief", "sources", "data", {"uri": "/new"})
    html = chief.get("/changes/draft/").content.decode()
    assert "<del>/data</del>" in html
    assert "<ins>/new</ins>" in html
    assert "n1" in html
    assert "that restart" in html


def test_an_edit_is_taken_back(chief: Client, hosts: None) -> None:
    drafts.put_object("chief", "views", "more", {})
    chief.post("/changes/draft/take-back/", {"object": "views.more"})
    assert drafts.edits_in(drafts.of("chief")) == 0


def test_a_draft_is_applied_in_waves_and_leads_to_its_rollout(chief: Client, hosts: None) -> None:
    drafts.put_object("chief", "sources", "data", {"uri": "/new"})
    form = {"message": "moved", "waves": "site=north", "tolerated": "1", "patience_minutes": "5", "pause_seconds": ""}
    answer = chief.post("/changes/drafts/chief/apply/", form)
    rollout = Rollout.objects.get()
    assert answer["Location"] == f"/changes/{rollout.pk}/rollout/"
    assert (rollout.tolerated, rollout.patience_seconds, rollout.pause_seconds) == (1, 300, 60)
    assert (rollout.revision.author, rollout.revision.message) == ("chief", "moved")
    assert f'href="/changes/{rollout.pk}/rollout/"' in chief.get("/changes/").content.decode()


def test_waves_that_are_none_are_refused_and_what_was_typed_stays(chief: Client, hosts: None) -> None:
    drafts.put_object("chief", "sources", "data", {"uri": "/new"})
    answer = chief.post("/changes/drafts/chief/apply/", {"message": "moved", "waves": "north"})
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "is neither labels nor a share" in html
    assert ">north</textarea>" in html
    assert 'value="moved"' in html
    assert drafts.of("chief")


def test_a_colleague_looks_at_a_draft_and_applies_it(chief: Client, hosts: None) -> None:
    drafts.put_object("anna", "views", "more", {})
    assert "/changes/drafts/anna/" in chief.get("/changes/draft/").content.decode()
    page = chief.get("/changes/drafts/anna/").content.decode()
    assert "Draft of anna" in page
    assert "Take back" not in page
    chief.post("/changes/drafts/anna/apply/", {})
    newest = service.latest()
    assert newest is not None
    assert (newest.author, newest.message) == ("chief", "Draft of anna")
    assert View.objects.filter(slug="more").exists()


def test_a_draft_that_others_overtook_shows_both_values_and_is_brought_up_to_date(chief: Client, hosts: None) -> None:
    drafts.put_object("chief", "sources", "data", {"uri": "/mine"})
    services.edit_object("sources", "data", {"uri": "/theirs"}, ANNA)
    html = chief.get("/changes/draft/").content.decode()
    assert "sources.data.uri" in html
    assert "Apply as one revision" not in html
    refused = chief.post("/changes/drafts/chief/rebase/", {"prefer": ""}, follow=True).content.decode()
    assert "Others changed the same fields" in refused
    chief.post("/changes/drafts/chief/rebase/", {"prefer": "mine"})
    assert "<ins>/mine</ins>" in chief.get("/changes/draft/").content.decode()


def test_a_draft_is_exported_and_discarded(chief: Client, hosts: None) -> None:
    drafts.put_object("chief", "views", "more", {})
    assert "\n  more:" in chief.get("/changes/drafts/chief/export/").content.decode()
    chief.post("/changes/drafts/chief/discard/")
    assert not Draft.objects.exists()
    assert chief.get("/changes/drafts/chief/export/").status_code == 404


def test_an_old_revision_is_put_into_the_draft_and_nothing_happens(chief: Client, hosts: None) -> None:
    first = service.latest_number()
    services.put_object("views", "more", {}, ANNA)
    chief.post(f"/changes/{first}/draft/")
    html = chief.get("/changes/draft/").content.decode()
    assert "1 delete" in html
    assert View.objects.filter(slug="more").exists()
    assert chief.post("/changes/999/draft/").status_code == 404


def test_a_text_is_put_into_the_draft_but_never_its_keys(chief: Client, hosts: None) -> None:
    text = "views: {more: {}}"
    chief.post("/configuration/", {"text": text, "base": service.latest_number(), "step": "draft"})
    assert "more" in drafts.of("chief").document["views"]
    with_key = "views: {other: {api_keys: [a-new-secret-of-some-length-1]}}"
    answer = chief.post("/configuration/", {"text": with_key, "base": service.latest_number(), "step": "draft"})
    assert answer.status_code == 422
    assert "a draft keeps no secret" in answer.content.decode()


def test_a_split_configuration_is_uploaded_as_a_zip_archive(chief: Client) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("conf/receivers-config.yaml", "http-main: {driver: http, api_keys: []}")
        archive.writestr("conf/views-config/lab.yaml", "id: lab\ndriver: fs")
        archive.writestr("conf/fusion-pipes-config/lab.yaml", "id: lab\nreceiver: http-main\nviews: [lab]")
        archive.writestr("conf/README.txt", "not yaml: [")
        archive.writestr("__MACOSX/conf/._a.yaml", "not: [yaml")
    upload = SimpleUploadedFile("conf.zip", packed.getvalue())
    shown = chief.post("/configuration/", {"file": upload, "base": 0, "step": "check"})
    html = shown.content.decode()
    assert "3 create" in html
    assert "# file: conf/views-config/lab.yaml" in html
    chief.post("/configuration/", {"text": shown.context["text"], "base": 0, "step": "apply"})
    assert Pipe.objects.get().receiver.slug == "http-main"


def test_several_files_are_uploaded_together_and_faults_name_theirs(chief: Client) -> None:
    files = [
        SimpleUploadedFile("receivers-config.yaml", b"http-main: {api_keys: []}"),
        SimpleUploadedFile("more.yaml", b"views: {lab: {}}\npipes: [broken"),
    ]
    answer = chief.post("/configuration/", {"file": files, "base": 0, "step": "check"})
    assert answer.status_code == 422
    assert "more.yaml:" in answer.content.decode()
    files = [
        SimpleUploadedFile("receivers-config.yaml", b"http-main: {api_keys: []}"),
        SimpleUploadedFile("more.yaml", b"views: {lab: {}}\npipes: {lab: {receiver: http-main, views: [lab]}}"),
    ]
    assert "3 create" in chief.post("/configuration/", {"file": files, "base": 0, "step": "check"}).content.decode()


@pytest.mark.parametrize("content", [b"no zip at all", b"PK\x03\x04" + b"x" * 100])
def test_an_archive_that_is_none_is_refused(chief: Client, content: bytes) -> None:
    answer = chief.post("/configuration/", {"file": SimpleUploadedFile("a.zip", content), "base": 0, "step": "check"})
    assert answer.status_code == 422
    assert "no zip archive" in answer.content.decode()


def test_an_archive_that_unpacks_into_too_much_is_refused(chief: Client) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.yaml", b"#" * (9 * 1024 * 1024))
    upload = SimpleUploadedFile("a.zip", packed.getvalue())
    answer = chief.post("/configuration/", {"file": upload, "base": 0, "step": "check"})
    assert answer.status_code == 422
    assert "Unpacked it is larger" in answer.content.decode()


def test_the_rollout_page_shows_waves_and_agents_the_failed_first(chief: Client, rollout: Rollout) -> None:
    html = chief.get(f"/changes/{rollout.pk}/rollout/").content.decode()
    assert "1. site=north" in html
    assert "2. the rest" in html
    refuse("n1")
    parts = parts_of(chief.get(f"/changes/{rollout.pk}/rollout/", headers={"X-Fustor-Parts": "1"}))
    assert "Halted" in parts["rollout-summary"]
    assert parts["rollout-agents"].index("n1") < parts["rollout-agents"].index("s1")
    assert "no such directory /new" in parts["rollout-agents"]


def test_a_halted_rollout_and_a_refusing_agent_show_on_the_overview(chief: Client, rollout: Rollout) -> None:
    refuse("n1")
    html = chief.get("/").content.decode()
    assert f'href="/changes/{rollout.pk}/rollout/"' in html
    assert "Halted" in html


@pytest.mark.parametrize(
    ("order", "state"),
    [
        ("continue", RolloutState.RUNNING),
        ("now", RolloutState.RUNNING),
        ("cancel", RolloutState.CANCELLED),
        ("back", RolloutState.ROLLED_BACK),
    ],
)
def test_orders_on_a_halted_rollout(chief: Client, rollout: Rollout, order: str, state: RolloutState) -> None:
    refuse("n1")
    chief.post(f"/changes/{rollout.pk}/rollout/{order}/")
    rollout.refresh_from_db()
    assert rollout.state == state
    assert chief.post(f"/changes/{rollout.pk}/rollout/fly/").status_code == 404


def test_an_order_that_comes_too_late_says_so(chief: Client, rollout: Rollout) -> None:
    chief.post(f"/changes/{rollout.pk}/rollout/cancel/")
    assert "is over" in chief.post(f"/changes/{rollout.pk}/rollout/continue/", follow=True).content.decode()


def test_a_viewer_looks_at_a_rollout_and_orders_nothing(rollout: Rollout, reader: Client) -> None:
    page = reader.get(f"/changes/{rollout.pk}/rollout/")
    assert page.status_code == 200
    assert "Roll back" not in page.content.decode()
    drafts.put_object("anna", "views", "more", {})
    for url in ("/changes/draft/", "/changes/drafts/anna/", "/changes/drafts/anna/export/"):
        assert reader.get(url).status_code == 403, url
    orders = ("drafts/anna/apply", "drafts/anna/discard", "drafts/anna/rebase", "draft/take-back", f"{rollout.pk}/draft")
    for url in (*orders, *(f"{rollout.pk}/rollout/{name}" for name in ("continue", "now", "cancel", "back"))):
        assert reader.post(f"/changes/{url}/").status_code == 403, url
    assert Revision.objects.count() == 2
    assert drafts.of("anna")


def test_the_rollout_page_costs_the_same_queries_for_two_agents_and_for_fifty(chief: Client, rollout: Rollout) -> None:
    before = queries_of(chief, f"/changes/{rollout.pk}/rollout/")
    chief.post(f"/changes/{rollout.pk}/rollout/cancel/")
    agents_text = "\n".join(
        f"  h{n}: {{labels: {{site: north}}, pipes: {{home: {{source: data, sender: here}}}}}}" for n in range(50)
    )
    load(f"agents:\n{agents_text}")
    Agent.objects.filter(slug__startswith="h").update(enrolled_at=clock.now_datetime())
    document = services.document_with("sources", "data", {"uri": "/newest"})
    _plan, revision = service.change(service.Wanted(document), ANNA, terms=Terms(parse_waves("site=north")))
    assert revision is not None
    assert queries_of(chief, f"/changes/{revision.number}/rollout/") == before


def test_a_change_that_would_overtake_the_rollout_is_refused_with_a_link_to_it(chief: Client, rollout: Rollout) -> None:
    drafts.put_object("chief", "sources", "data", {"uri": "/newer"})
    with pytest.raises(Conflict):
        drafts.apply(drafts.of("chief"), ANNA)
    answer = chief.post("/changes/drafts/chief/apply/", {})
    assert answer.status_code == 409
    assert f'href="/changes/{rollout.pk}/rollout/"' in answer.content.decode()


@pytest.mark.parametrize(
    ("value", "words"),
    [(600.0, "600"), (0.5, "0.5"), (True, "yes"), (None, "–"), ([], "–"), (["a", 1.0], "a, 1"), ({"a": False}, "a: no"), (0, "0")],
)
def test_values_are_shown_as_people_write_them(value: object, words: str) -> None:
    assert plain(value) == words


def test_changes_of_mappings_are_taken_apart_down_to_the_field() -> None:
    before = {"home": {"source": "a", "sender": "s"}, "old": {"source": "b"}}
    after = {"home": {"source": "c", "sender": "s"}}
    found = leaves([Change("pipes", before, after), Change("name", "", "x"), Change("labels", None, {"a": "b"})])
    assert [(leaf.field, leaf.before, leaf.after) for leaf in found] == [
        ("pipes.home.source", "a", "c"),
        ("pipes.old.source", "b", None),
        ("name", "", "x"),
        ("labels.a", None, "b"),
    ]
