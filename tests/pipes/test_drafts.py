"""Drafts: edits gathered into one revision, what they would do, brought up to date when others changed something meanwhile."""

import msgspec
import pytest

from apps.pipes import drafts, services
from apps.pipes.audit import Actor
from apps.pipes.config import service
from apps.pipes.config.document import Document, PipeDoc, ReceiverDoc, ViewDoc
from apps.pipes.config.render import render
from apps.pipes.config.three_way import Side, merge_documents, merge_values
from apps.pipes.keys import create_key
from apps.pipes.models import ApiKey, AuditEntry, Draft, Pipe, Revision
from apps.runtime import clock
from apps.runtime.problems import Conflict, Invalid, NotFound
from apps.sessions.models import Session
from apps.views.models import View
from tests.pipes.conftest import load

ANNA = service.Author("anna", "because")
BEN = service.Author("ben")


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged", "places"),
    [
        ({"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}, []),
        ({"a": 1}, {"a": 1}, {"a": 3}, {"a": 3}, []),
        ({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 3}, {"a": 2, "b": 3}, []),
        ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 3}, ["a"]),
        ({"a": 1}, {}, {"a": 1}, {}, []),
        ({"a": 1}, {}, {"a": 3}, {"a": 3}, ["a"]),
        ({}, {"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}, []),
        ({"a": {"x": 1, "y": 1}}, {"a": {"x": 2, "y": 1}}, {"a": {"x": 3, "y": 2}}, {"a": {"x": 3, "y": 2}}, ["a.x"]),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 3]}, {"a": [1, 3]}, ["a"]),
    ],
)
def test_two_edits_are_put_together_field_by_field(
    base: object, mine: object, theirs: object, merged: object, places: list[str]
) -> None:
    value, collisions = merge_values(base, mine, theirs)
    assert (value, [collision.where for collision in collisions]) == (merged, places)
    assert merge_values(base, theirs, mine)[1] != () or not places, "a collision is one from both sides"


def test_where_edits_collide_the_preferred_side_counts() -> None:
    def pipes(seconds: int) -> Document:
        return Document(pipes={"one": PipeDoc("r", session_timeout_seconds=seconds)})

    assert merge_documents(pipes(5), pipes(6), pipes(7), Side.MINE).document == pipes(6)
    assert merge_documents(pipes(5), pipes(6), pipes(7), Side.THEIRS).document == pipes(7)


@pytest.mark.usefixtures("small")
def test_a_draft_gathers_edits_into_one_revision() -> None:
    drafts.put_object("anna", "views", "gamma", {"name": "Gamma"})
    pipe = msgspec.to_builtins(render().pipes["one"])
    draft = drafts.put_object("anna", "pipes", "one", {**pipe, "views": ["alpha", "gamma"]})
    assert drafts.edits_in(draft) == 2
    review = drafts.review(draft)
    assert review.plan is not None
    assert review.plan.summary() == "1 create, 1 update, 3 unchanged"
    assert review.can_apply
    assert not View.objects.filter(slug="gamma").exists(), "a draft changes nothing"
    before = Revision.objects.count()
    drafts.apply(draft, ANNA)
    assert Revision.objects.count() == before + 1
    assert not Draft.objects.exists()
    assert {view.slug for view in Pipe.objects.get().views.all()} == {"alpha", "gamma"}


@pytest.mark.usefixtures("small")
def test_keys_stay_as_they_are_when_an_object_is_added_to_a_draft() -> None:
    draft = drafts.put_object("anna", "views", "alpha", {"name": "Alpha"})
    drafts.apply(draft, ANNA)
    assert not ApiKey.objects.exclude(revoked_at=None).exists()


@pytest.mark.usefixtures("small")
def test_a_field_that_is_wrong_is_refused_when_it_is_added() -> None:
    with pytest.raises(Invalid) as refused:
        drafts.put_object("anna", "pipes", "one", {"receiver": "http-main", "session_timeout_seconds": -1})
    assert refused.value.field == "pipes.one.session_timeout_seconds"


@pytest.mark.usefixtures("small")
def test_a_draft_that_cannot_be_applied_says_why_and_stays() -> None:
    draft = drafts.delete_object("anna", "views", "alpha")
    review = drafts.review(draft)
    assert review.problem is not None
    assert review.problem.field == "pipes.one.views"
    with pytest.raises(Invalid):
        drafts.apply(draft, ANNA)
    assert drafts.of("anna") == draft


@pytest.mark.usefixtures("small")
def test_an_edit_is_taken_back_and_the_others_stay() -> None:
    drafts.put_object("anna", "views", "gamma", {})
    drafts.delete_object("anna", "views", "beta")
    assert drafts.edits_in(drafts.take_back("anna", "views", "beta")) == 1
    assert drafts.edits_in(drafts.take_back("anna", "views", "gamma")) == 0


@pytest.mark.usefixtures("small")
def test_a_draft_on_an_old_revision_is_refused_and_stays_until_it_is_brought_up_to_date() -> None:
    draft = drafts.put_object("anna", "views", "gamma", {})
    services.put_object("views", "delta", {}, BEN)
    assert drafts.review(draft).behind
    with pytest.raises(Conflict):
        drafts.apply(draft, ANNA)
    drafts.apply(drafts.rebase("anna"), ANNA)
    assert {"gamma", "delta"} <= set(View.objects.values_list("slug", flat=True)), "nobody's edit is lost"


@pytest.mark.usefixtures("small")
def test_fields_that_both_changed_are_for_a_person_to_decide() -> None:
    pipe = msgspec.to_builtins(render().pipes["one"])
    drafts.put_object("anna", "pipes", "one", {**pipe, "session_timeout_seconds": 9})
    services.edit_object("pipes", "one", {"session_timeout_seconds": 12}, BEN)
    with pytest.raises(Conflict) as refused:
        drafts.rebase("anna")
    assert refused.value.extra["collisions"] == [{"where": "pipes.one.session_timeout_seconds", "base": 5, "mine": 9, "theirs": 12}]
    drafts.apply(drafts.rebase("anna", Side.MINE), ANNA)
    assert Pipe.objects.get().session_timeout_seconds == 9


@pytest.mark.usefixtures("small")
def test_discarding_leaves_a_trace_and_nothing_else() -> None:
    drafts.discard(drafts.put_object("anna", "views", "gamma", {}), Actor("anna"))
    with pytest.raises(NotFound):
        drafts.of("anna")
    assert AuditEntry.objects.filter(verb="draft.discard", target="drafts.anna").exists()


AGENTS = """
sources: {data: {uri: /data}, other: {uri: /other}}
senders: {here: {uri: 'http://localhost'}}
agents:
  a: {pipes: {home: {source: data, sender: here, pipe: one}, away: {source: other, sender: here, pipe: one}}}
  b: {pipes: {home: {source: other, sender: here, pipe: one}}}
"""


@pytest.mark.usefixtures("small")
def test_the_effect_names_what_restarts_and_leaves_out_who_notices_nothing() -> None:
    load(AGENTS)
    effect = drafts.review(drafts.put_object("anna", "sources", "data", {"uri": "/mnt/data"})).effect
    assert effect is not None
    assert [(agent.agent, agent.restarts, agent.starts, agent.stops) for agent in effect.agents] == [("a", ("home",), (), ())]
    assert (effect.pipes, effect.sessions_end) == ((), 0)


@pytest.mark.usefixtures("small")
def test_the_effect_counts_the_sessions_that_end_and_names_what_is_lost() -> None:
    now = clock.now_datetime()
    key = ApiKey.objects.get(receiver__isnull=False)
    other, _ = create_key("query", all_views=True)
    for used in (key, other):
        Session.objects.create(
            pipe=Pipe.objects.get(),
            key=used,
            task_id=f"host:{used.pk}",
            agent_name="host",
            timeout_seconds=30,
            created_at=now,
            last_active_at=now,
            silent_after=now,
        )
    drafts.put_object("anna", "views", "beta", {"driver": "fs-forest"})
    review = drafts.review(drafts.put_object("anna", "receivers", "http-main", {"api_keys": []}))
    assert review.effect is not None
    assert review.effect.keys_refused == (key.ref,)
    assert review.effect.sessions_end == 1
    assert review.effect.views_emptied == ("beta",)
    assert review.effect.pipes == ("one",), "its receiver changes"
    drafts.put_object("anna", "receivers", "http-main", {"disabled": True})
    review = drafts.review(drafts.of("anna"))
    assert review.effect is not None
    assert (review.effect.pipes_off, review.effect.sessions_end) == (("one",), 2)


def test_documents_of_other_kinds_are_left_alone() -> None:
    mine = Document(views={"v": ViewDoc()})
    theirs = Document(receivers={"r": ReceiverDoc()})
    merged = merge_documents(Document(), mine, theirs)
    assert (set(merged.document.views), set(merged.document.receivers)) == ({"v"}, {"r"})
