"""The split V2 layout and the names before it: they become the same configuration, with notices that say the new name."""

import io
from pathlib import Path

import pytest
from django.core.management import call_command

from apps.pipes import keys
from apps.pipes.config.legacy import REMOVAL
from apps.pipes.config.reading import Reading, Text, read
from apps.pipes.models import AgentPipe, Pipe

SPLIT = {
    "receivers-config.yaml": "http-main:\n  driver: http\n  port: 8102\n  api_keys: [{key: fk_research_key, pipe_id: pipe-http}]\n",
    "views-config/research.yaml": "id: fs-research\ndriver: fs\ndriver_params: {hot_file_threshold: 60}\n",
    "fusion-pipes-config/pipe-http.yaml": (
        "id: pipe-http\nreceiver: http-main\nviews: [fs-research]\nenabled: true\nallow_concurrent_push: false\nextra: {a: 1}\n"
    ),
    "sources-config.yaml": "fs-research: {driver: fs, uri: /data/research, credential: {user: someone}}\n",
    "senders-config.yaml": "main: {driver: fusion, endpoint: 'http://h:8102', credential: {key: fk_research_key}}\n",
    "agent-pipes-config/research.yaml": "id: pipe-research\nsource: fs-research\nsender: main\naudit_interval_sec: 600\n",
}
OLDEST = {
    "datastores-config.yaml": (
        "datastores:\n  research: {session_timeout_seconds: 30, allow_concurrent_push: false, api_key: fk_datastore_key}\n"
    ),
    "views-config/r.yaml": "id: research-fs\ndatastore_id: research\ndriver: fs\ndriver_params: {hot_item_threshold: 600}\n",
    "sources-config.yaml": "fs-research: {driver: fs, uri: /data/research}\n",
    "pushers-config.yaml": "main: {driver: fusion, endpoint: 'http://h:8102', driver_params: {datastore_id: 1, batch_size: 9}}\n",
    "syncs-config/s.yaml": "id: sync-research\nsource: fs-research\npusher: main\n",
}


def reading_of(files: dict[str, str], agent_id: str = "") -> Reading:
    texts = [Text(f"/etc/fustor/{name}", content) for name, content in files.items()]
    return read(texts, variables={}, known_ref=lambda secret: None, agent_id=agent_id)


def test_the_split_layout_is_one_document() -> None:
    document = reading_of(SPLIT, "host-1").document
    assert document.pipes["pipe-http"].views == ("fs-research",)
    assert document.receivers["http-main"].api_keys is not None
    assert document.receivers["http-main"].api_keys[0].pipe_id == "pipe-http"
    assert document.senders["main"].uri == "http://h:8102"
    assert document.agents["host-1"].pipes["pipe-research"].settings == {"audit_interval_sec": 600}


def test_the_oldest_names_are_read_with_notices_that_say_the_new_name_and_the_removal_date() -> None:
    reading = reading_of(OLDEST, "host-1")
    document = reading.document
    assert document.pipes["research"].views == ("research-fs",)
    assert document.pipes["research"].allow_concurrent_push is False
    assert document.views["research-fs"].driver_params == {"hot_file_threshold": 600}
    assert document.senders["main"].driver_params == {"batch_size": 9}
    assert document.agents["host-1"].pipes["sync-research"].sender == "main"
    told = "\n".join(str(notice) for notice in reading.notices)
    for old, new in (("pushers", "senders"), ("syncs", "pipes"), ("pusher", "sender")):
        assert f"{old}: is called `{new}` now" in told
    assert told.count(REMOVAL) >= 4


def test_a_datastore_without_view_files_becomes_a_view_of_its_name() -> None:
    document = reading_of({"views-config.yaml": "archive: {api_key: fk_archive_key, session_timeout_seconds: 60}\n"}).document
    assert set(document.views) == {"archive"}
    assert document.pipes["archive"].session_timeout_seconds == 60


def test_a_view_of_views_becomes_a_forest_fed_by_their_pipes() -> None:
    text = """
receivers: {r: {}}
views:
  a: {}
  b: {}
  both: {driver: multi-fs, driver_params: {members: [a, b]}}
pipes:
  pa: {receiver: r, views: [a]}
  pb: {receiver: r, views: [b]}
"""
    document = reading_of({"default.yaml": text}).document
    assert document.views["both"].driver == "fs-forest"
    assert (document.pipes["pa"].views, document.pipes["pb"].views) == (("a", "both"), ("b", "both"))


@pytest.mark.django_db
def test_a_directory_of_the_split_layout_is_imported_and_its_keys_work(tmp_path: Path) -> None:
    for name, content in SPLIT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    call_command("import_config", str(tmp_path), "--agent", "host-1", stdout=io.StringIO(), stderr=io.StringIO())
    assert keys.authenticate("fk_research_key", None).may_push(Pipe.objects.get(slug="pipe-http"))
    assert str(AgentPipe.objects.get()) == "host-1:pipe-research"
    again = io.StringIO()
    call_command("import_config", str(tmp_path), "--agent", "host-1", stdout=again, stderr=io.StringIO())
    assert "Nothing to change." in again.getvalue()


def test_unified_and_split_files_give_the_same_document() -> None:
    unified = {"default.yaml": "receivers: {r: {}}\nviews: {v: {}}\npipes: {p: {receiver: r, views: [v]}}"}
    split = {"receivers-config.yaml": "r: {}", "views-config/v.yaml": "", "fusion-pipes-config/p.yaml": "receiver: r\nviews: [v]"}
    assert reading_of(split).document == reading_of(unified).document
