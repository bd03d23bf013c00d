"""Edits by people who saw a version: many at once, each on its own object; two on the same; what a refusal tells."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from apps.pipes import edits, services
from apps.pipes.config import service
from apps.pipes.config.places import Place, fields_at, owner_fields, users_of, without
from apps.pipes.config.render import render
from apps.pipes.config.service import Author
from apps.pipes.edits import Edit, Overtaken
from apps.pipes.models import Pipe, Revision
from apps.runtime.problems import Conflict, NotFound

ANNA, BEN = Author("anna", "calmer"), Author("ben")


def make(*names: str) -> None:
    for name in names:
        services.put_object("receivers", name, {}, ANNA)
        services.put_object("views", name, {}, ANNA)
        services.put_object("pipes", name, {"receiver": name, "views": [name]}, ANNA)


def edit_of(name: str, **changes: object) -> Edit:
    place = Place("pipes", name)
    seen = fields_at(render(), place)
    assert seen is not None
    return Edit(place, service.latest_number(), seen, {**seen, **changes})


@pytest.mark.django_db
def test_a_refusal_tells_who_what_and_both_together() -> None:
    make("lab")
    mine = edit_of("lab", session_timeout_seconds=45)
    services.edit_object("pipes", "lab", {"audit_interval_sec": 1200}, ANNA)
    services.put_object("receivers", "unrelated", {}, BEN)
    with pytest.raises(Overtaken) as caught:
        edits.save(mine, BEN)
    refused = caught.value
    assert refused.revision is not None
    assert (refused.revision.author, refused.revision.message) == ("anna", "calmer")
    assert [(change.field, change.before, change.after) for change in refused.changes] == [("audit_interval_sec", 600.0, 1200.0)]
    assert refused.collisions == ()
    assert (refused.merged["session_timeout_seconds"], refused.merged["audit_interval_sec"]) == (45, 1200.0)
    assert refused.payload()["fields"] == ["audit_interval_sec"]


@pytest.mark.django_db
def test_an_object_that_went_is_told_apart_from_one_that_changed() -> None:
    make("lab")
    mine = edit_of("lab", session_timeout_seconds=45)
    services.delete_object("pipes", "lab", ANNA)
    with pytest.raises(Overtaken) as caught:
        edits.save(mine, BEN)
    assert caught.value.theirs is None
    assert caught.value.merged["session_timeout_seconds"] == 45
    with pytest.raises(NotFound):
        edits.delete(mine.place, BEN)


@pytest.mark.django_db
def test_a_new_object_does_not_overwrite_one_that_was_made_meanwhile() -> None:
    make("lab")
    with pytest.raises(Conflict) as caught:
        edits.save(Edit(Place("receivers", "lab"), 0, None, {"name": "mine"}), BEN)
    assert caught.value.field == "id"


@pytest.mark.django_db
def test_an_agent_and_its_pipes_are_edited_apart() -> None:
    services.put_object("sources", "nas", {"uri": "/data"}, ANNA)
    services.put_object("senders", "here", {}, ANNA)
    services.put_object(
        "agents", "host.one", {"labels": {"site": "n"}, "pipes": {"a.b": {"source": "nas", "sender": "here"}}}, ANNA
    )
    document, place = render(), Place("agent-pipes", "host.one:a.b")
    assert place.where == "agents.host.one.pipes.a.b"
    fields = fields_at(document, place)
    assert fields is not None
    assert owner_fields(document, place, {**fields, "name": "x"})["pipes"]["a.b"]["name"] == "x"
    assert "pipes" not in (fields_at(document, Place("agents", "host.one")) or {})
    assert {user.ident for user in users_of(document, Place("sources", "nas"))} == {"host.one:a.b"}
    assert without(document, place).agents["host.one"].pipes == {}
    with pytest.raises(NotFound):
        Place("keys", "x")


@pytest.mark.django_db(transaction=True)
def test_people_at_different_objects_never_hinder_each_other() -> None:
    names = [f"lab-{number}" for number in range(6)]
    make(*names)
    wanted = [edit_of(name, session_timeout_seconds=40 + number) for number, name in enumerate(names)]
    before = Revision.objects.count()

    def save(edit: Edit) -> None:
        edits.save(edit, BEN)
        connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(save, wanted))
    assert [Pipe.objects.get(slug=name).session_timeout_seconds for name in names] == [40, 41, 42, 43, 44, 45]
    assert Revision.objects.count() == before + 6


@pytest.mark.django_db(transaction=True)
def test_of_many_at_one_object_the_first_saves_and_the_others_see_it() -> None:
    make("lab")
    wanted = [edit_of("lab", session_timeout_seconds=40 + number) for number in range(6)]

    def save(edit: Edit) -> int | None:
        try:
            edits.save(edit, BEN)
        except Overtaken:
            return None
        finally:
            connection.close()
        return int(edit.mine["session_timeout_seconds"])

    with ThreadPoolExecutor(6) as pool:
        done = [seconds for seconds in pool.map(save, wanted) if seconds is not None]
    assert len(done) == 1
    assert Pipe.objects.get().session_timeout_seconds == done[0]


@pytest.mark.django_db(transaction=True)
def test_a_program_that_changes_or_deletes_one_object_takes_back_no_change_of_another() -> None:
    names = [f"lab-{number}" for number in range(4)]
    make("gone", *names)

    def run(order: Callable[[], object]) -> None:
        order()
        connection.close()

    def change(name: str, **fields: object) -> Callable[[], object]:
        return lambda: services.edit_object("pipes", name, fields, BEN)

    orders = [change(name, session_timeout_seconds=77) for name in names]
    orders += [change(name, audit_interval_sec=777) for name in names]
    orders.insert(2, lambda: services.switch_objects("pipes", names, enabled=False, author=BEN))
    orders.insert(5, lambda: services.delete_object("pipes", "gone", BEN))
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(run, orders))
    found = Pipe.objects.values_list("slug", "session_timeout_seconds", "audit_interval_sec", "enabled")
    assert sorted(found) == [(name, 77, 777.0, False) for name in names]
