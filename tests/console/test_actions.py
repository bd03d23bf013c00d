"""Orders from the console: each reaches its service, says what came of it, and is refused to who may not give it."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from apps.pipes.models import AuditEntry
from apps.sessions.models import Job, Leadership, Session
from apps.views.models import Audit, BlindSpot
from tests.console.conftest import Fleet


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("chief"))
    return client


def said(response: object) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))  # type: ignore[attr-defined]  # test client's own


def orders(fleet: Fleet) -> list[str]:
    return [
        reverse("run_phase", args=[fleet.pipe.slug]),
        reverse("pause_pipe", args=[fleet.pipe.slug]),
        reverse("hand_over", args=[fleet.follower.number]),
        reverse("end_session", args=[fleet.leader.number]),
        reverse("cancel_job", args=[fleet.running.pk]),
        reverse("retry_job", args=[fleet.failed.pk]),
        reverse("scan", args=[fleet.view.slug]),
        reverse("close_blind_spots", args=[fleet.view.slug]),
    ]


def test_a_viewer_may_look_but_give_no_order(fleet: Fleet, reader: Client) -> None:
    for url in orders(fleet):
        assert reader.post(url).status_code == 403, url
    assert "Audit now" not in reader.get(reverse("pipe", args=[fleet.pipe.slug])).content.decode()
    assert Session.objects.filter(ended_at=None).count() == 2


def test_orders_are_no_links(fleet: Fleet, admin: Client) -> None:
    for url in orders(fleet):
        assert admin.get(url).status_code == 405, url


def test_ending_a_session_ends_it_and_says_so(fleet: Fleet, admin: Client) -> None:
    response = admin.post(reverse("end_session", args=[fleet.leader.number]))
    fleet.leader.refresh_from_db()
    assert fleet.leader.end_cause == Session.EndCause.ENDED
    assert fleet.leader.task_id in said(response)


def test_a_pipe_is_paused_and_resumed(fleet: Fleet, admin: Client) -> None:
    url = reverse("pause_pipe", args=[fleet.pipe.slug])
    admin.post(url, {"paused": "yes"})
    assert "Resume" in admin.get(reverse("pipe", args=[fleet.pipe.slug])).content.decode()
    fleet.pipe.refresh_from_db()
    assert fleet.pipe.paused
    admin.post(url, {"paused": "no"})
    fleet.pipe.refresh_from_db()
    assert not fleet.pipe.paused


def test_leadership_is_handed_to_the_chosen_session(fleet: Fleet, admin: Client) -> None:
    admin.post(reverse("hand_over", args=[fleet.follower.number]))
    term = Leadership.objects.get(tree=fleet.tree)
    assert term.session_id == fleet.follower.number
    assert term.epoch == 4


def test_cancelling_a_job_asks_for_its_end(fleet: Fleet, admin: Client) -> None:
    admin.post(reverse("cancel_job", args=[fleet.running.pk]))
    fleet.running.refresh_from_db()
    assert fleet.running.cancel_requested or fleet.running.state == Job.State.CANCELLED


def test_what_cannot_be_done_is_said_in_words(fleet: Fleet, admin: Client) -> None:
    response = admin.post(reverse("cancel_job", args=[fleet.failed.pk]))
    assert "already" in said(response)
    response = admin.post(reverse("run_phase", args=[fleet.pipe.slug]), {"kind": "audit"})
    assert "protocol 2" in said(response)


def test_a_scan_becomes_a_job_with_the_name_of_who_asked(fleet: Fleet, admin: Client) -> None:
    response = admin.post(reverse("scan", args=[fleet.view.slug]) + "?path=/runs")
    job = Job.objects.get(kind=Job.Kind.SCAN)
    assert (job.path, job.actor, job.trigger) == ("/runs", "chief", Job.Trigger.PERSON)
    assert response["Location"].endswith("/tree/?path=/runs")


def test_an_audit_that_holds_nothing_cannot_be_approved(fleet: Fleet, admin: Client) -> None:
    audit = Audit.objects.create(tree=fleet.tree, epoch=3, session=fleet.leader.number, state=Audit.State.COMPLETE, started_at=1)
    response = admin.post(reverse("approve_audit", args=[fleet.view.slug, audit.pk]))
    assert "holds no deletions" in said(response)


def test_a_person_closes_a_blind_spot_and_is_named(fleet: Fleet, admin: Client) -> None:
    for path in ("/runs/one", "/runs/two"):
        BlindSpot.objects.create(tree=fleet.tree, path=path, change="deleted", detected_at=1.0)
    address = reverse("close_blind_spots", args=[fleet.view.slug])
    assert "Close blind spot" in admin.get(reverse("inspect", args=[fleet.view.slug]) + "?path=/runs/one").content.decode()
    response = admin.post(address + "?path=/runs/one", {"from": "inspect"})
    assert "1 blind spot is closed" in said(response)
    assert response["Location"].endswith("/inspect/?path=/runs/one")
    assert BlindSpot.objects.get(path="/runs/one").closed_by == "chief"
    assert AuditEntry.objects.filter(verb="view.close_blind_spots").exists()
    assert "No blind spot is open there" in said(admin.post(address + "?path=/runs/one"))
    assert admin.post(address, {"all": "yes"})["Location"].endswith("/consistency/?show=blind-spots")
    assert not BlindSpot.objects.filter(tree=fleet.tree, closed_at=None).exists()
