"""Import and export: what YAML makes, what the same YAML again changes (nothing), and what comes out."""

import io
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from apps.pipes import keys, services
from apps.pipes.audit import Actor
from apps.pipes.config import service
from apps.pipes.config.document import Document
from apps.pipes.config.export import export_text
from apps.pipes.config.plan import Action
from apps.pipes.config.reading import Text, read
from apps.pipes.config.render import render
from apps.pipes.models import Agent, AgentPipe, ApiKey, Pipe, Receiver, Revision, Sender
from apps.runtime.problems import Conflict, Invalid, Unauthorized
from apps.views.models import View
from apps.views.services import ensure_tree
from tests.pipes.conftest import SMALL, load

pytestmark = pytest.mark.django_db
RECEIVER_KEY = "key-of-a-receiver-000000000001"

V2 = """
logging: {level: INFO}
fusion: {host: 0.0.0.0, port: 8101}
receivers:
  http-main:
    driver: http
    bind_host: 0.0.0.0
    port: 8102
    session_timeout_seconds: 3600
    api_keys:
      - key: key-agent-1
        pipe_id: pipe-a
      - key: key-agent-1
        pipe_id: pipe-b
views:
  view-a:
    driver: fs
    api_keys: ["admin-key"]
    driver_params:
      hot_file_threshold: 60
      live_mode: true
      consistency: {tombstone_ttl_seconds: 5}
  view-b: {driver: fs-forest, api_keys: [{key: admin-key}]}
pipes:
  pipe-a:
    receiver: http-main
    views: [view-a]
    session_timeout_seconds: 3
    audit_interval_sec: 0
    sentinel_interval_sec: 1.5
    allow_concurrent_push: false
  pipe-b: {receiver: http-main, views: [view-b], disabled: true}
"""

AGENT = """
agent_id: host-1
sources:
  shared-fs: {driver: fs, uri: /mnt/data, driver_params: {}}
senders:
  fusion-main:
    driver: fusion
    uri: http://fustor:8000
    credential: {key: key-agent-1, password: hidden-value}
    driver_params: {timeout: 30.0}
pipes:
  home: {source: shared-fs, sender: fusion-main, audit_interval_sec: 600}
"""


def test_the_unified_file_of_v2_is_read_as_it_is() -> None:
    plan, revision = load(V2)
    assert plan.summary() == "5 create"
    assert revision is not None
    pipe = Pipe.objects.get(slug="pipe-a")
    assert (pipe.session_timeout_seconds, pipe.audit_interval_sec, pipe.sentinel_interval_sec) == (3, 0.0, 1.5)
    assert (pipe.allow_concurrent_push, pipe.enabled, Pipe.objects.get(slug="pipe-b").enabled) == (False, True, False)
    view = View.objects.get(slug="view-a")
    assert (view.hot_file_threshold, view.live_mode, view.tombstone_floor) == (60.0, True, 5.0)
    assert list(pipe.views.all()) == [view]


def test_keys_in_the_file_work_unchanged_and_are_hashed() -> None:
    load(V2)
    pusher, reader = keys.authenticate("key-agent-1", None), keys.authenticate("admin-key", None)
    assert {pipe.slug for pipe in pusher.pipes()} == {"pipe-a", "pipe-b"}
    assert {view.slug for view in reader.readable_views()} == {"view-a", "view-b"}
    assert "key-agent-1" not in str(list(ApiKey.objects.values())) + str(list(Revision.objects.values())) + export_text()


def test_one_key_for_pushing_and_reading_works_for_both() -> None:
    load("""
receivers: {r: {api_keys: [{key: one-key-for-everything-000001, pipe_id: p}]}}
views: {v: {api_keys: [one-key-for-everything-000001]}, w: {}}
pipes: {p: {receiver: r, views: [v, w]}}
""")
    principal = keys.authenticate("one-key-for-everything-000001", None)
    assert principal.may_push(Pipe.objects.get())
    assert [view.slug for view in principal.readable_views()] == ["v"]


def test_ids_that_look_like_numbers_are_ids() -> None:
    load("""
receivers: {1: {api_keys: [{key: key-of-a-receiver-000000000001, pipe_id: 7}]}}
views: {2024: {api_keys: [1234567890123456789012345]}}
pipes: {7: {receiver: 1, views: [2024]}}
""")
    assert keys.authenticate(RECEIVER_KEY, None).may_push(Pipe.objects.get(slug="7"))
    assert keys.authenticate("1234567890123456789012345", None).may_read(View.objects.get(slug="2024"))
    before = export_text()
    load(before)
    assert export_text() == before


def test_the_same_file_again_changes_nothing() -> None:
    load(V2)
    before = (export_text(), list(ApiKey.objects.values()), list(View.objects.values()))
    plan, revision = load(V2)
    assert (plan.changes_anything, revision) == (False, None)
    assert before == (export_text(), list(ApiKey.objects.values()), list(View.objects.values()))


def test_s139_a_key_that_the_file_no_longer_lists_is_refused_and_comes_back_with_it() -> None:
    load(SMALL)
    assert keys.authenticate(RECEIVER_KEY, None)
    without = SMALL.replace(f"      - {{key: {RECEIVER_KEY}, pipe_id: one}}\n", "").replace("api_keys:\n", "api_keys: []\n", 1)
    plan, _ = load(without)
    assert [str(step) for step in plan.of(Action.UPDATE)] == ["update receivers.http-main (api_keys)"]
    with pytest.raises(Unauthorized):
        keys.authenticate(RECEIVER_KEY, None)
    load(SMALL)
    assert keys.authenticate(RECEIVER_KEY, None)


def test_a_key_made_here_outlives_an_import_that_does_not_know_it() -> None:
    load(SMALL)
    pipe = Pipe.objects.get()
    _, secret = services.issue_key(Actor("anna"), "receiver", receiver=pipe.receiver, pipes=[pipe])
    load(SMALL)
    assert keys.authenticate(secret, None)
    load(SMALL, replace=True)
    with pytest.raises(Unauthorized):
        keys.authenticate(secret, None)


def test_a_key_that_a_person_revoked_stays_revoked_whatever_is_imported() -> None:
    load(SMALL)
    services.revoke_key(Actor("anna"), ApiKey.objects.get(receiver__isnull=False))
    for _ in range(2):
        plan, revision = load(SMALL)
        assert (plan.changes_anything, revision) == (False, None)
        assert "stays revoked" in str(plan.notices[0])
    with pytest.raises(Unauthorized):
        keys.authenticate(RECEIVER_KEY, None)


def test_objects_that_the_file_does_not_name_stay_unless_it_replaces_everything() -> None:
    load(V2)
    load(SMALL)
    assert Pipe.objects.count() == 3
    plan, _ = load(SMALL, replace=True)
    assert {step.ident for step in plan.of(Action.DELETE)} == {"view-a", "view-b", "pipe-a", "pipe-b"}
    assert Pipe.objects.get().slug == "one"


def test_export_wipe_import_export_is_byte_identical_and_keys_go_on() -> None:
    load(V2)
    load(AGENT)
    before = export_text()
    service.change(service.Wanted(Document(), replace=True), service.Author("tester"))
    assert (Receiver.objects.count(), View.objects.count(), Agent.objects.count()) == (0, 0, 0)
    load(before)
    assert export_text() == before
    assert keys.authenticate("key-agent-1", None).may_push(Pipe.objects.get(slug="pipe-a"))


def test_on_another_server_the_references_are_kept_and_open_nothing() -> None:
    load(V2)
    before = export_text()
    service.change(service.Wanted(Document(), replace=True), service.Author("tester"))
    ApiKey.objects.all().delete()
    load(before)
    assert export_text() == before
    assert {key.is_unset for key in ApiKey.objects.all()} == {True}
    with pytest.raises(Unauthorized):
        keys.authenticate("key-agent-1", None)
    load(V2)
    assert keys.authenticate("key-agent-1", None), "importing the secret itself fills the reference"


def test_an_agents_file_becomes_an_agent_with_its_pipe_and_no_secret() -> None:
    load(V2)
    load(AGENT)
    pipe = AgentPipe.objects.get()
    assert (str(pipe), pipe.source.uri, pipe.settings) == ("host-1:home", "/mnt/data", {"audit_interval_sec": 600})
    sender = Sender.objects.get()
    assert (sender.driver, sender.credential.keys()) == ("http", {"key_ref"})
    assert sender.credential["key_ref"] == keys.ref_of("key-agent-1")
    assert "hidden-value" not in export_text()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("pipes: {p: {receiver: nowhere, views: [v]}}\nviews: {v: {}}", "pipes.p.receiver"),
        ("receivers: {r: {}}\npipes: {p: {receiver: r, views: [nowhere]}}", "pipes.p.views"),
        ("receivers: {r: {}}\npipes: {p: {receiver: r, views: []}}", "pipes.p.views"),
        ("views: {v: {driver: tape}}", "views.v.driver"),
        ("views: {v: {driver_params: {hot_file_threshold: -1}}}", "views.v.driver_params.hot_file_threshold"),
        ("receivers: {r: {driver_params: {max_body_bytes: many}}}", "receivers.r.driver_params.max_body_bytes"),
        ("pipes: {p: {receiver: r, views: [v], session_timeout_seconds: 0}}", "pipes.p.session_timeout_seconds"),
        ("views: {'a b': {}}", "views"),
        ("views: [v]", "test.yaml: views"),
        ("views: {v: {}, v: {}}", "test.yaml:1"),
        ("views: {v: &a {}, w: *a}", "test.yaml:1"),
        ("views: [", "test.yaml:1"),
        ("views: {v: {name: ${NOT_SET}}}", "test.yaml:1"),
        ("receivers: {r: {api_keys: [{key: 'kläy', pipe_id: p}]}}", "receivers.r.api_keys"),
        ("receivers: {r: {api_keys: [{key: abc, pipe_id: nowhere}]}}", "receivers.r.api_keys[0].pipe_id"),
        ("pipes: {p: {source: s, sender: t}}", "pipes.p"),
    ],
)
def test_a_fault_names_the_place_and_changes_nothing(text: str, where: str) -> None:
    with pytest.raises(Invalid) as refused:
        load("views: {fine: {}}\n" if text.startswith("fine") else text)
    assert where in [fault["where"] for fault in refused.value.extra["faults"]]
    assert not View.objects.exists()
    assert not Revision.objects.exists()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("views: {v: {driver_params: {uri: /x}}}", "views.v.driver_params.uri"),
        ("views: {v: {colour: red}}", "views.v.colour"),
        ("receivers: {r: {driver_params: {workers: 4}}}", "receivers.r.driver_params.workers"),
        ("cheese: {}\nviews: {v: {}}", "test.yaml: cheese"),
    ],
)
def test_names_that_are_not_known_are_told_and_ignored(text: str, where: str) -> None:
    reading = read([Text("test.yaml", text)], variables={}, known_ref=keys.ref_of)
    assert where in [notice.where for notice in reading.notices]
    plan, _ = load(text)
    assert plan.of(Action.CREATE)
    assert load(text)[0].summary() == "1 unchanged"


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        load("receivers: {r: {driver: x}}\nviews: {v: {driver: y}}\npipes: {p: {receiver: q, views: [w]}}")
    assert len(refused.value.extra["faults"]) == 4


def test_a_stale_change_is_refused() -> None:
    _, first = load(SMALL)
    assert first is not None
    load(SMALL.replace("60", "61"), expected=first.number)
    with pytest.raises(Conflict) as refused:
        load(SMALL.replace("60", "62"), expected=first.number)
    assert refused.value.code == "stale_revision"
    assert View.objects.get(slug="alpha").hot_file_threshold == 61


def test_an_unrelated_import_touches_only_what_changed() -> None:
    load(V2)
    stamps = dict(Pipe.objects.values_list("slug", "updated_at"))
    load("views: {gamma: {}}\npipes: {three: {receiver: http-main, views: [gamma]}}")
    assert {slug: stamp for slug, stamp in Pipe.objects.values_list("slug", "updated_at") if slug in stamps} == stamps


def test_the_commands_import_export_and_make_keys(tmp_path: Path) -> None:
    file = tmp_path / "fustor.yaml"
    file.write_text(V2)
    out = io.StringIO()
    call_command("import_config", str(file), "--dry-run", stdout=out, stderr=io.StringIO())
    assert "create pipes.pipe-a" in out.getvalue()
    assert not Pipe.objects.exists()
    call_command("import_config", str(file), stdout=io.StringIO(), stderr=io.StringIO())
    exported = io.StringIO()
    call_command("export_config", stdout=exported)
    assert exported.getvalue() == export_text()
    made = io.StringIO()
    call_command("create_key", "--kind", "receiver", "--pipe", "pipe-a", "--plain", stdout=made)
    assert keys.authenticate(made.getvalue().strip(), None).may_push(Pipe.objects.get(slug="pipe-a"))


def test_the_import_command_tells_every_fault_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("pipes: {p: {receiver: r, views: [v]}}")
    with pytest.raises(CommandError, match=r"(?s)Nothing was changed. 2 faults:.*pipes.p.receiver.*pipes.p.views"):
        call_command("import_config", str(file))


@pytest.mark.parametrize("arguments", [["--kind", "query"], ["--kind", "receiver"], ["--kind", "query", "--view", "nowhere"]])
def test_create_key_says_what_is_missing(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("create_key", *arguments, stdout=io.StringIO())


def test_rendering_costs_a_constant_number_of_queries(django_assert_max_num_queries: object) -> None:
    many = {f"v{number}": {} for number in range(50)}
    pipes = {f"p{number}": {"receiver": "r", "views": [f"v{number}"]} for number in range(50)}
    service.change(service.Wanted(_document({"receivers": {"r": {}}, "views": many, "pipes": pipes})), service.Author("tester"))
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        render()


def _document(plain: dict[str, object]) -> Document:
    from apps.pipes.config.document import from_plain

    return from_plain(plain, Document)


def test_a_pipe_that_leaves_a_forest_takes_its_tree_along_and_a_disabled_one_does_not() -> None:
    text = """
receivers: {http-main: {}}
views: {woods: {driver: fs-forest}, plain: {}}
pipes:
  one: {receiver: http-main, views: [woods]}
  two: {receiver: http-main, views: [woods]}
"""
    load(text)
    woods = View.objects.get(slug="woods")
    for pipe in ("one", "two"):
        ensure_tree(woods, pipe)
    load(text.replace("two: {", "two: {disabled: true, "))
    assert members(woods) == ["one", "two"]
    load(text.replace("two: {receiver: http-main, views: [woods]}", "two: {receiver: http-main, views: [plain]}"))
    assert members(woods) == ["one"]
    load("receivers: {http-main: {}}\nviews: {woods: {driver: fs-forest}}\n", replace=True)
    assert members(woods) == []


def members(view: View) -> list[str]:
    return list(view.trees.order_by("scope").values_list("scope", flat=True))
