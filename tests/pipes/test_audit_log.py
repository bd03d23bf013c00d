"""The audit log: nobody changes it, old entries go one way only, and it is filtered and taken away safely."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import Error, connection, transaction
from django.test import Client
from pytest_django import Settings

from apps.pipes import append_only, audit, audit_retention, people
from apps.pipes.audit import Actor
from apps.pipes.audit_export import changes_of
from apps.pipes.models import AuditCut, AuditEntry, Role
from apps.pipes.tasks import prune_audit
from apps.runtime import clock
from apps.runtime.problems import Invalid

ROOT = Actor("root", "192.0.2.1")
PASSWORD = "correct-horse-battery"
E, C = append_only.ENTRIES, append_only.CUTS


def run(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


FORBIDDEN = [
    f"UPDATE {E} SET actor = 'nobody'",
    f"DELETE FROM {E}",
    f"UPDATE {C} SET until = 0",
    f"DELETE FROM {C}",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_database_itself_refuses_changes(db: None, statement: str) -> None:
    audit.record(ROOT, "something", "x")
    AuditCut.objects.create(until=0, at=clock.now_datetime(), actor="root")
    with pytest.raises(Error, match="append-only"):
        run(statement)
    assert AuditEntry.objects.filter(actor="root", verb="something").count() == 1


def test_no_way_around_the_triggers_of_each_database(db: None) -> None:
    entry = audit.record(ROOT, "something", "x")
    around = f"TRUNCATE {E}"
    if connection.vendor == "sqlite":
        columns = "id, at, actor, address, request_id, verb, target, outcome, detail"
        around = f"INSERT OR REPLACE INTO {E} ({columns}) VALUES ({entry.pk}, '2026-01-01', 'x', '', '', 'x', '', 'done', '')"
    with pytest.raises(Error, match="append-only"):
        run(around)
    assert AuditEntry.objects.get(pk=entry.pk).actor == "root"


def test_every_trigger_is_there_after_all_migrations(db: None) -> None:
    catalogue = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'audit_%'",
        "postgresql": "SELECT tgname || tgrelid::regclass FROM pg_trigger WHERE tgname LIKE 'audit_%'",
    }
    with connection.cursor() as cursor:
        cursor.execute(catalogue[connection.vendor])
        assert len(cursor.fetchall()) == (6 if connection.vendor == "sqlite" else 4)


@pytest.fixture
def old_and_new(db: None, time_stands_still: clock.ManualClock) -> None:
    for _ in range(3):
        audit.record(ROOT, "old", "x")
    time_stands_still.advance(timedelta(days=100).total_seconds())
    audit.record(ROOT, "new", "x")


def test_old_entries_go_and_leave_a_record(old_and_new: None) -> None:
    assert audit_retention.due(90) == 3
    assert audit_retention.prune(Actor("anna"), 90) == 3
    assert list(AuditEntry.objects.order_by("id").values_list("verb", "actor")) == [("new", "root"), ("audit.prune", "anna")]
    told = AuditEntry.objects.get(verb="audit.prune")
    assert told.before
    assert told.before["entries"] == 3
    assert AuditCut.objects.get().actor == "anna"


def test_nothing_old_leaves_no_record(old_and_new: None) -> None:
    audit_retention.prune(ROOT, 200)
    assert AuditEntry.objects.count() == 4
    assert not AuditCut.objects.exists()


def test_what_an_interrupted_run_left_the_next_one_takes(old_and_new: None) -> None:
    last = AuditEntry.objects.filter(verb="old").latest("id")
    AuditCut.objects.create(until=last.pk, at=clock.now_datetime(), actor="interrupted")
    assert audit_retention.prune(ROOT, 200) == 3


def test_less_than_a_month_is_never_dropped(db: None) -> None:
    with pytest.raises(Invalid):
        audit_retention.prune(ROOT, 7)
    with pytest.raises(CommandError):
        call_command("prune_audit", "--days", "1")


def test_the_command_and_the_timed_task_do_it_too(old_and_new: None, settings: Settings) -> None:
    out = io.StringIO()
    call_command("prune_audit", "--days", "90", "--dry-run", stdout=out)
    assert "3 entries would go" in out.getvalue()
    prune_audit()
    assert AuditEntry.objects.filter(verb="old").count() == 3, "for ever, unless it is set"
    settings.FUSTOR_AUDIT_DAYS = 90
    prune_audit()
    assert not AuditEntry.objects.filter(verb="old").exists()
    assert AuditEntry.objects.get(verb="audit.prune").actor == "retention"


@pytest.fixture
def browser(db: None) -> Client:
    admin = people.create(ROOT, "ada", PASSWORD, Role.ADMIN)
    client = Client()
    client.force_login(admin)
    return client


def test_before_and_after_stand_in_one_row_and_what_stayed_is_left_out(browser: Client) -> None:
    vera = people.create(ROOT, "vera", PASSWORD, Role.VIEWER)
    people.change_role(ROOT, vera, Role.OPERATOR)
    entry = AuditEntry.objects.get(verb="person.role")
    assert changes_of(entry) == [("role", "viewer", "operator")]
    page = browser.get("/audit/?q=person.role").content.decode()
    assert page.count("<dt>role</dt>") == 1
    assert "<del>viewer</del>" in page
    assert "<ins>operator</ins>" in page


def test_days_outcome_and_words_filter(browser: Client, time_stands_still: clock.ManualClock) -> None:
    audit.record(ROOT, "early", "x")
    day = clock.now_datetime().date()
    time_stands_still.advance(3 * 86400)
    audit.record_denied(ROOT, "late", "x", "no")
    assert "early" in browser.get(f"/audit/?until={day}").content.decode()
    assert "late" not in browser.get(f"/audit/?until={day}").content.decode()
    later = browser.get(f"/audit/?since={day + timedelta(days=1)}&outcome=denied").content.decode()
    assert "<strong>late</strong>" in later
    assert "<strong>early</strong>" not in later
    assert browser.get("/audit/?since=yesterday&outcome=whatever&page=x").status_code == 200


def test_the_export_carries_the_filter_and_runs_in_no_spreadsheet(browser: Client) -> None:
    audit.record(Actor("=HYPERLINK(1)"), "odd", '@SUM(1)"', after={"name": "=1+1"}, detail="-1")
    answer = browser.get("/audit/export/?format=csv&q=odd")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["verb"] for row in rows] == ["odd"]
    assert (rows[0]["actor"], rows[0]["target"], rows[0]["detail"]) == ("'=HYPERLINK(1)", "'@SUM(1)\"", "'-1")
    lines = browser.get("/audit/export/?format=jsonl&q=odd").content.decode().splitlines()
    assert json.loads(lines[0])["after"] == {"name": "=1+1"}
    assert browser.get("/audit/export/?format=exe").status_code == 404
    assert AuditEntry.objects.filter(verb="audit.export", actor="ada").count() == 2


def test_markup_in_an_entry_is_only_text(browser: Client) -> None:
    audit.record(Actor("<script>alert(1)</script>"), "odd", "<b>", after={"<i>": "<u>"})
    page = browser.get("/audit/?q=odd").content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;u&gt;" in page


def test_only_admins_read_it(db: None) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        client = Client()
        client.force_login(people.create(ROOT, f"a-{role}", PASSWORD, role))
        assert client.get("/audit/").status_code == 403
        assert client.get("/audit/export/").status_code == 403
    assert User.objects.count() == 2
