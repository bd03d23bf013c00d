"""Revisions: every change is kept, two can be compared, an old one restored; drafts; what agents should run."""

import pytest

from apps.pipes import agents, keys, services
from apps.pipes.audit import Actor
from apps.pipes.config import history, service
from apps.pipes.config.plan import Action
from apps.pipes.models import Agent, ApiKey, AuditEntry, Pipe, Revision
from apps.runtime.problems import Conflict, Invalid, NotFound
from apps.views.models import View
from tests.pipes.conftest import load

pytestmark = pytest.mark.usefixtures("small")
ANNA = service.Author("anna", "because", "10.0.0.1", "req-7")


def test_a_change_is_one_revision_with_author_message_summary_and_document() -> None:
    plan, revision = services.edit_object("pipes", "one", {"session_timeout_seconds": 9}, ANNA)
    assert revision is not None
    assert (revision.author, revision.message) == ("anna", "because")
    assert revision.summary == "update pipes.one (session_timeout_seconds)"
    assert revision.document["pipes"]["one"]["session_timeout_seconds"] == 9
    assert [(change.before, change.after) for change in plan.of(Action.UPDATE)[0].changes] == [(5, 9)]


def test_a_change_that_changes_nothing_is_no_revision() -> None:
    before = Revision.objects.count()
    _, revision = services.edit_object("pipes", "one", {"session_timeout_seconds": 5}, ANNA)
    assert (revision, Revision.objects.count()) == (None, before)


def test_a_key_outside_the_document_makes_no_revision_one_inside_does() -> None:
    before = Revision.objects.count()
    services.issue_key(Actor("anna"), "management", scopes=["viewer"])
    assert Revision.objects.count() == before
    services.issue_key(Actor("anna"), "query", views=[View.objects.get(slug="beta")])
    assert Revision.objects.count() == before + 1


def test_a_change_is_audited_with_before_and_after() -> None:
    services.edit_object("pipes", "one", {"session_timeout_seconds": 9}, ANNA)
    entry = AuditEntry.objects.get(actor="anna")
    assert (entry.verb, entry.target, entry.address, entry.request_id) == ("configuration.update", "pipes.one", "10.0.0.1", "req-7")
    assert (entry.before, entry.after) == ({"session_timeout_seconds": 5}, {"session_timeout_seconds": 9})


def test_the_audit_log_cannot_be_changed() -> None:
    entry = AuditEntry.objects.all()[0]
    with pytest.raises(TypeError):
        entry.save()
    with pytest.raises(TypeError):
        entry.delete()
    with pytest.raises(TypeError):
        AuditEntry.objects.all().delete()
    with pytest.raises(TypeError):
        AuditEntry.objects.filter(pk=entry.pk).update(actor="nobody")


def test_two_people_editing_the_same_pipe_the_second_is_refused() -> None:
    seen = service.latest_number()
    services.edit_object("pipes", "one", {"session_timeout_seconds": 9}, ANNA, expected=seen)
    with pytest.raises(Conflict) as refused:
        services.edit_object("pipes", "one", {"session_timeout_seconds": 12}, service.Author("ben"), expected=seen)
    assert refused.value.extra == {"expected": seen, "newest": service.latest_number()}
    assert Pipe.objects.get().session_timeout_seconds == 9


def test_restoring_gives_the_old_configuration_as_a_new_revision() -> None:
    first = service.latest()
    assert first is not None
    services.edit_object("views", "alpha", {"driver_params": {"hot_file_threshold": 5}}, ANNA)
    services.put_object("views", "gamma", {}, ANNA)
    _, restored = history.restore(first.number, ANNA)
    assert restored is not None
    assert (restored.restores, restored.document) == (first, first.document)
    assert not View.objects.filter(slug="gamma").exists()


def test_restoring_brings_back_keys_that_were_left_out_but_not_revoked_ones() -> None:
    first = service.latest_number()
    receiver_key = "key-of-a-receiver-000000000001"
    services.edit_object("receivers", "http-main", {"api_keys": []}, ANNA)
    assert ApiKey.objects.filter(revoked_because="removed").count() == 1
    history.restore(first, ANNA)
    assert keys.authenticate(receiver_key, None)
    services.revoke_key(Actor("anna"), ApiKey.objects.get(receiver__isnull=False))
    history.restore(first, ANNA)
    assert ApiKey.objects.get(receiver__isnull=False).revoked_because == "revoked"


def test_the_difference_of_two_revisions_names_fields() -> None:
    first = service.latest_number()
    _, second = services.edit_object("pipes", "one", {"disabled": True}, ANNA)
    assert second is not None
    steps = history.difference(first, second.number).of(Action.UPDATE)
    assert [(step.ident, [change.field for change in step.changes]) for step in steps] == [("one", ["disabled"])]
    assert len(history.difference(0, first).of(Action.CREATE)) == 4
    with pytest.raises(NotFound):
        history.difference(first, 10_000)


def test_deleting_what_is_still_used_is_refused_with_the_place() -> None:
    with pytest.raises(Invalid) as refused:
        services.delete_object("views", "alpha", ANNA)
    assert refused.value.field == "pipes.one.views"
    services.delete_object("views", "beta", ANNA)
    assert not View.objects.filter(slug="beta").exists()


def test_only_agents_whose_part_changed_get_a_new_revision_to_run() -> None:
    load("""
sources: {data: {uri: /data}, other: {uri: /other}}
senders: {here: {uri: 'http://localhost'}}
agents:
  a: {pipes: {home: {source: data, sender: here, pipe: one}}}
  b: {pipes: {home: {source: other, sender: here}}}
""")
    first = service.latest_number()
    assert set(Agent.objects.values_list("desired_revision", flat=True)) == {first}
    _, second = services.edit_object("sources", "data", {"uri": "/mnt/data"}, ANNA)
    assert second is not None
    assert dict(Agent.objects.values_list("slug", "desired_revision")) == {"a": second.number, "b": first}
    wanted = agents.desired(Agent.objects.get(slug="a"))
    assert wanted["config"]["sources"]["data"]["uri"] == "/mnt/data"
    assert wanted["config"]["pipes"]["home"]["server_pipe"] == "one"


def test_an_agent_that_refused_or_lags_has_drifted() -> None:
    agent = Agent.objects.create(slug="a", enrolled_at="2026-01-01T00:00:00Z", desired_revision=3)
    assert agents.has_drifted(agent)
    agents.report(agent, 3, "")
    assert not agents.has_drifted(agent)
    agents.report(agent, 2, "unknown driver tape")
    assert agents.has_drifted(Agent.objects.get(slug="a"))
