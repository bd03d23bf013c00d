"""The section `settings` of the configuration: through the same service, in YAML both ways, a form, in force at once."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from apps.pipes import drafts, services, tasks
from apps.pipes.config import history, service
from apps.pipes.config.export import export_text
from apps.pipes.config.plan import Action
from apps.pipes.models import AuditEntry, Revision
from apps.runtime import clock, server_settings
from apps.runtime.problems import Conflict, Invalid
from apps.runtime.server_settings import OTHERWISE, ServerSettings
from apps.sessions.services import retention
from apps.sessions.services.sessions import granted_timeout
from apps.views import housekeeping
from apps.views.models import ChangeBatch, Tree, View
from tests.pipes.conftest import load

ANNA = service.Author("anna")
pytestmark = pytest.mark.usefixtures("small")


@pytest.fixture
def chief(client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("chief"))
    return client


def test_every_setting_has_a_value_when_nothing_is_said() -> None:
    assert set(OTHERWISE) == set(ServerSettings.__struct_fields__)
    assert server_settings.number("history_days") == 30
    assert server_settings.switched_on("legacy_paths")


def test_a_change_is_one_revision_with_the_fields_that_changed_and_in_force_at_once() -> None:
    plan, revision = services.put_settings({"history_days": 7, "legacy_paths": False}, ANNA)
    assert revision is not None
    assert revision.summary == "update settings.server (history_days, legacy_paths)"
    assert [(change.before, change.after) for change in plan.of(Action.UPDATE)[0].changes] == [(None, 7), (None, False)]
    assert server_settings.number("history_days") == 7
    assert not server_settings.switched_on("legacy_paths")
    entry = AuditEntry.objects.get(target="settings.server")
    assert (entry.actor, entry.after) == ("anna", {"history_days": 7, "legacy_paths": False})


def test_what_is_not_said_any_more_is_as_the_environment_says(settings: object) -> None:
    settings.FUSTOR_HISTORY_DAYS = 12  # type: ignore[attr-defined]
    services.put_settings({"history_days": 7}, ANNA)
    services.put_settings({}, ANNA)
    assert server_settings.number("history_days") == 12


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"history_days": 0}, "settings.history_days"),
        ({"history_days": "seven"}, "settings.history_days"),
        ({"audit_log_days": 29}, "settings.audit_log_days"),
        ({"session_timeout_least": 60, "session_timeout_most": 30}, "settings.session_timeout_least"),
        ({"colour": "red"}, "settings.colour"),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(fields: dict[str, object], where: str) -> None:
    before = Revision.objects.count()
    with pytest.raises(Invalid) as refused:
        services.put_settings(fields, ANNA)
    assert refused.value.field == where
    assert Revision.objects.count() == before


def test_a_stale_change_is_refused() -> None:
    seen = service.latest_number()
    services.put_settings({"history_days": 7}, ANNA)
    with pytest.raises(Conflict):
        services.put_settings({"history_days": 8}, ANNA, expected=seen)


def test_yaml_without_the_section_leaves_them_and_a_replacement_takes_them_back() -> None:
    load("settings: {feed_days: 3}\nviews: {gamma: {}}")
    load("views: {delta: {}}")
    assert server_settings.number("feed_days") == 3
    text = export_text()
    assert text.endswith("settings:\n  feed_days: 3\n")
    load("{}", replace=True)
    assert server_settings.number("feed_days") == 7
    load(text, replace=True)
    assert export_text() == text, "export → wipe → import → export is byte-identical"


def test_yaml_with_a_wrong_setting_names_it_and_an_unknown_one_is_told() -> None:
    with pytest.raises(Invalid) as refused:
        load("settings: {feed_days: many}")
    assert refused.value.field == "settings.feed_days"
    with pytest.raises(Invalid):
        load("settings: [feed_days]")
    load("settings: {feed_days: 5, colour: red}")
    assert server_settings.number("feed_days") == 5


def test_restoring_a_revision_restores_its_settings() -> None:
    first = service.latest_number()
    services.put_settings({"feed_days": 2}, ANNA)
    history.restore(first, ANNA)
    assert server_settings.number("feed_days") == 7


def test_a_draft_holds_settings_and_they_are_taken_back_or_applied() -> None:
    wanted = ServerSettings(feed_days=2)
    drafts.revise("anna", lambda document: type(document)(**{**structs_of(document), "settings": wanted}))
    assert drafts.edits_in(drafts.of("anna")) == 1
    drafts.take_back("anna", "settings", "server")
    assert drafts.edits_in(drafts.of("anna")) == 0
    draft = drafts.revise("anna", lambda document: type(document)(**{**structs_of(document), "settings": wanted}))
    drafts.apply(draft, ANNA)
    assert server_settings.number("feed_days") == 2


def structs_of(document: object) -> dict[str, object]:
    return {name: getattr(document, name) for name in document.__struct_fields__}  # type: ignore[attr-defined]


def test_retention_and_bounds_follow_the_settings() -> None:
    services.put_settings({"session_timeout_least": 20, "session_timeout_most": 40, "feed_days": 1}, ANNA)
    assert [granted_timeout(wished, 5) for wished in (None, 30, 300)] == [20, 30, 40]
    tree = Tree.objects.create(view=View.objects.get(slug="alpha"), scope="")
    now = clock.now()
    for age, seq in ((2 * 86_400, 1), (3600, 2)):
        ChangeBatch.objects.create(tree=tree, last_seq=seq, at=int((now - age) * 1000), source="realtime", count=1, entries=b"[]")
    housekeeping.trim(now)
    assert list(ChangeBatch.objects.values_list("last_seq", flat=True)) == [2]
    retention.forget_history()


def test_the_audit_log_is_cut_only_when_a_setting_says_so() -> None:
    entries = AuditEntry.objects.count()
    with clock.use(clock.ManualClock(clock.now() + timedelta(days=100).total_seconds())):
        tasks.prune_audit()
        assert AuditEntry.objects.count() == entries
        services.put_settings({"audit_log_days": 60}, ANNA)
        tasks.prune_audit()
    assert AuditEntry.objects.filter(verb="audit.prune").exists()


def test_old_paths_are_switched_off_in_the_console(client: Client) -> None:
    assert "Deprecation" in client.get("/api/v1/ingest/session/").headers
    services.put_settings({"legacy_paths": False}, ANNA)
    off = client.get("/api/v1/ingest/session/")
    assert (off.status_code, "Deprecation" in off.headers) == (404, False)


def test_the_page_shows_what_counts_and_saves_what_is_written(chief: Client) -> None:
    html = chief.get("/configuration/settings/").content.decode()
    assert 'placeholder="30"' in html
    assert "as the environment says: on" in html
    form = {"base": service.latest_number(), "history_days": "14", "command_seconds": "5 min", "legacy_paths": "no", "step": "save"}
    chief.post("/configuration/settings/change/", form)
    assert (server_settings.number("history_days"), server_settings.number("command_seconds")) == (14, 300)
    assert not server_settings.switched_on("legacy_paths")
    again = chief.get("/configuration/settings/").content.decode()
    assert 'value="14"' in again
    assert 'value="5 min"' in again
    assert '<option value="no" selected>' in again


def test_a_fault_stands_at_its_field_and_what_was_written_stays(chief: Client) -> None:
    answer = chief.post("/configuration/settings/change/", {"base": service.latest_number(), "audit_log_days": "7"})
    assert answer.status_code == 422
    html = answer.content.decode()
    assert "30 days at least" in html
    assert 'value="7"' in html
    stale = chief.post("/configuration/settings/change/", {"base": "0", "history_days": "7"})
    assert stale.status_code == 409


def test_a_change_is_added_to_the_draft(chief: Client) -> None:
    chief.post("/configuration/settings/change/", {"base": service.latest_number(), "feed_days": "2", "step": "draft"})
    assert drafts.of("chief").document["settings"] == {"feed_days": 2}
    assert server_settings.number("feed_days") == 7
    assert "feed_days" in chief.get("/changes/draft/").content.decode()


def test_a_viewer_looks_and_changes_nothing(client: Client) -> None:
    client.force_login(get_user_model().objects.create_user("reader"))
    html = client.get("/configuration/settings/").content.decode()
    assert "disabled" in html
    assert "Add to draft" not in html
    assert client.post("/configuration/settings/change/", {"base": "1", "feed_days": "2"}).status_code == 403
