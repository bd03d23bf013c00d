"""Accounts in a real browser: log in with a code and with a passkey, confirm with it, be invited; axe in both themes."""

import re
import time
from collections.abc import Iterator

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import Browser, Page, expect
from pytest_django import DjangoDbBlocker

from apps.pipes import people
from apps.pipes.audit import Actor
from apps.pipes.models import Role
from tests.blackbox.processes import RunningServer
from tests.chromium import PATIENCE_MS
from tests.console.axe import faults_of
from tests.console.test_browser import ServerOrm

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PASSWORD = "correct-horse-battery"
ROOT = Actor("root")


@pytest.fixture(scope="module")
def orm(server: RunningServer, django_db_blocker: DjangoDbBlocker) -> ServerOrm:
    return ServerOrm(server, django_db_blocker)


@pytest.fixture(params=["light", "dark"])
def desk(chromium: Browser, server: RunningServer, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page under the name localhost, where browsers allow passkeys, with a security key plugged in."""
    url = server.url.replace("127.0.0.1", "localhost")
    context = chromium.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 850}, base_url=url)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    session = context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "usb", "hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def name(orm: ServerOrm) -> str:
    """A new admin."""
    name = f"admin-{time.time_ns()}"
    orm.run(lambda: people.create(ROOT, name, PASSWORD, Role.ADMIN))
    return name


def log_in(page: Page, name: str) -> None:
    page.goto("/login/?next=/profile/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def log_out(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login/$"))


def look(page: Page) -> None:
    """axe finds nothing on the page as it is now."""
    assert faults_of(page) == []


def grow_old(orm: ServerOrm, name: str) -> None:
    """The last proof of this person's logins was long ago."""

    def work() -> None:
        number = str(User.objects.get(username=name).pk)
        for row in Session.objects.all():
            kept = row.get_decoded()
            if kept.get("_auth_user_id") == number:
                kept["proven_at"] = 0.0
                row.session_data = row.get_session_store_class()().encode(kept)
                row.save()

    orm.run(work)


def test_an_app_is_set_up_and_asked_for(desk: Page, name: str) -> None:
    log_in(desk, name)
    desk.get_by_role("link", name="Add an app").click()
    look(desk)
    secret = desk.locator("p.under code").inner_text()
    # good for this half minute and the next one
    desk.get_by_label("Code", exact=True).fill(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))
    desk.get_by_role("button", name="Add the app").click()
    expect(desk.locator(".codes code")).to_have_count(10)
    codes = desk.locator(".codes code").all_inner_texts()
    look(desk)
    desk.get_by_role("link", name="I have them").click()
    look(desk)
    log_out(desk)
    log_in(desk, name)
    expect(desk).to_have_url(re.compile("/login/second/"))
    look(desk)
    desk.get_by_label("Code of your app").fill(codes[0])
    desk.get_by_role("button", name="Log in").click()
    expect(desk.get_by_role("heading", name="Your account")).to_be_visible()


def test_a_passkey_is_made_logs_in_and_confirms(desk: Page, name: str, orm: ServerOrm) -> None:
    log_in(desk, name)
    desk.get_by_role("link", name="Add a passkey").click()
    look(desk)
    desk.get_by_label("Name").fill("The blue key")
    desk.get_by_role("button", name="Add the passkey").click()
    desk.get_by_role("link", name="I have them").click()
    expect(desk.get_by_text("The blue key")).to_be_visible()
    log_out(desk)
    log_in(desk, name)
    desk.wait_for_load_state()  # a script listens to the button
    desk.get_by_role("button", name="Use a passkey").click()
    expect(desk.get_by_role("heading", name="Your account")).to_be_visible()
    grow_old(orm, name)
    desk.goto("/people/new/")
    expect(desk.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    look(desk)
    desk.get_by_role("button", name="Use a passkey").click()
    expect(desk.get_by_role("heading", name="New user")).to_be_visible()


def test_somebody_is_invited_sets_a_password_and_is_switched_off(desk: Page, name: str, chromium: Browser) -> None:
    log_in(desk, name)
    guest_name = f"guest-{time.time_ns()}"
    desk.goto("/people/new/")
    desk.get_by_label("User name").fill(guest_name)
    desk.get_by_role("button", name="Make the user").click()
    look(desk)
    link = desk.locator(".secret code").inner_text()
    context = chromium.new_context()
    context.set_default_timeout(PATIENCE_MS)
    guest = context.new_page()
    guest.goto(link)
    look(guest)
    guest.get_by_label("New password", exact=True).fill(PASSWORD)
    guest.get_by_label("New password confirmation").fill(PASSWORD)
    guest.get_by_role("button", name="Set the password").click()
    guest.get_by_label("Username").fill(guest_name)
    guest.get_by_label("Password").fill(PASSWORD)
    guest.get_by_role("button", name="Log in").click()
    expect(guest.get_by_role("heading", name="Overview")).to_be_visible()
    expect(guest.get_by_role("link", name="Users")).to_have_count(0)
    desk.get_by_role("link", name="I have it").click()
    expect(desk.get_by_role("heading", name=guest_name)).to_be_visible()
    look(desk)
    desk.get_by_role("button", name="Switch off").first.click()
    desk.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    expect(desk.get_by_text("may not log in any more")).to_be_visible()
    guest.goto("/".join(link.split("/")[:3]) + "/pipes/")
    expect(guest).to_have_url(re.compile("/login/"))
    context.close()


def test_a_form_that_was_filled_in_survives_the_confirmation(desk: Page, name: str, orm: ServerOrm) -> None:
    log_in(desk, name)
    desk.goto("/people/new/")
    guest_name = f"guest-{time.time_ns()}"
    desk.get_by_label("User name").fill(guest_name)
    desk.get_by_label("Role").select_option("operator")
    grow_old(orm, name)
    desk.get_by_role("button", name="Make the user").click()
    desk.get_by_label("Password").fill(PASSWORD)
    desk.get_by_role("button", name="Go on").click()
    expect(desk.get_by_role("heading", name=f"A link for {guest_name}")).to_be_visible()
    assert orm.run(lambda: people.describe(people.find(guest_name)))["role"] == "operator"
