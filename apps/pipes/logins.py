"""Logins of people: listed, ended, on record, and so are failed ones. A login counts as proof of who it is.

When a login was last seen is noted in the cache only, so a page never waits for the database's write lock.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import redis
import structlog
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.pipes import audit, browsers, confirmation
from apps.pipes.addresses import client_address
from apps.pipes.audit import Actor
from apps.pipes.models import Login
from apps.runtime import clock
from apps.runtime.problems import NotFound

log = structlog.get_logger(__name__)


def listen() -> None:
    """Connect the signals: called once at start-up."""
    user_logged_in.connect(_logged_in, dispatch_uid="fustor.logged_in")
    user_logged_out.connect(_logged_out, dispatch_uid="fustor.logged_out")
    user_login_failed.connect(_failed, dispatch_uid="fustor.login_failed")


@dataclass(frozen=True)
class Seen:
    """A login as its owner sees it."""

    login: Login
    last_seen_at: datetime
    is_here: bool

    @property
    def browser(self) -> str:
        """Which browser on which system."""
        return browsers.words(self.login.browser)


def of(user: User, here: str | None = None) -> list[Seen]:
    """The live logins of a person, newest first; `here` is the key of the session that asks."""
    found = list(Login.objects.filter(user=user, session_key__in=_live()))
    notes = _notes(login.session_key for login in found)
    seen = (Seen(login, notes.get(login.session_key, login.started_at), login.session_key == here) for login in found)
    return sorted(seen, key=lambda entry: (not entry.is_here, -entry.last_seen_at.timestamp()))


def count(user: User) -> int:
    """How many live logins a person has."""
    return Login.objects.filter(user=user, session_key__in=_live()).count()


def note_seen(request: HttpRequest) -> None:
    """The login of this request is in use. A note that the cache does not take is lost: nothing depends on it."""
    key = request.session.session_key
    try:
        cache.set(_note_name(str(key)), clock.now(), timeout=settings.SESSION_COOKIE_AGE)
    except (redis.RedisError, OSError) as error:
        log.warning("last use of a login not noted", error=type(error).__name__)


@transaction.atomic
def end(user: User, *, but: str | None = None) -> int:
    """Log a person out everywhere, but in the session with the key `but`. How many logins ended."""
    theirs = [key for key in _sessions_of(user) if key != but]
    Login.objects.filter(user=user).exclude(session_key=but or "").delete()
    return Session.objects.filter(pk__in=theirs).delete()[0]


@transaction.atomic
def end_one(actor: Actor, user: User, login_id: int) -> None:
    """End one login of a person. Raises NotFound."""
    login = Login.objects.filter(pk=login_id, user=user).first()
    if login is None:
        raise NotFound("There is no such login any more.")
    Session.objects.filter(pk=login.session_key).delete()
    before = {"browser": login.browser, "address": login.address}
    login.delete()
    audit.record(actor, "person.logout", _target(user.username), before=before)


def moved(request: HttpRequest, old_key: str | None) -> None:
    """The session of this login got a new key (Django gives one when the password changes)."""
    Login.objects.filter(session_key=old_key).update(session_key=request.session.session_key)


def tidy() -> None:
    """Drop sessions that ran out, and logins whose session is gone. Run by a task."""
    Session.objects.filter(expire_date__lt=clock.now_datetime()).delete()
    Login.objects.exclude(session_key__in=Session.objects.values("pk")).delete()


def _live() -> QuerySet[Session, str]:
    return Session.objects.filter(expire_date__gte=clock.now_datetime()).values_list("session_key", flat=True)


def _sessions_of(user: User) -> list[str]:
    live = Session.objects.filter(expire_date__gte=clock.now_datetime())
    return [session.pk for session in live if session.get_decoded().get(SESSION_KEY) == str(user.pk)]


def _notes(keys: Iterable[str]) -> dict[str, datetime]:
    names = {_note_name(key): key for key in keys}
    try:
        found = cache.get_many(names)
    except (redis.RedisError, OSError) as error:
        log.warning("last use of logins not known", error=type(error).__name__)
        return {}
    return {names[name]: datetime.fromtimestamp(at, UTC) for name, at in found.items()}


def _note_name(key: str) -> str:
    # the key opens the session, so it is not written anywhere else
    return f"login-seen:{hashlib.sha256(key.encode()).hexdigest()}"


def _logged_in(sender: object, request: HttpRequest, user: AbstractBaseUser, **rest: Any) -> None:
    confirmation.note(request)
    if request.session.session_key is None:
        request.session.save()
    row = {
        "user_id": user.pk,
        "browser": request.headers.get("User-Agent", "")[:300],
        "address": client_address(request)[:64],
        "started_at": clock.now_datetime(),
    }
    Login.objects.update_or_create(session_key=request.session.session_key, defaults=row)
    audit.record(_actor(request, user.get_username()), "login", _target(user.get_username()))


def _logged_out(sender: object, request: HttpRequest, user: AbstractBaseUser | None, **rest: Any) -> None:
    if user is not None:
        Login.objects.filter(session_key=request.session.session_key).delete()
        audit.record(_actor(request, user.get_username()), "logout", _target(user.get_username()))


def _failed(sender: object, credentials: dict[str, Any], request: HttpRequest | None = None, **rest: Any) -> None:
    """Names that are no user's stay out of the audit log: people type passwords there, and strangers could fill it."""
    name = str(credentials.get("username", ""))
    if request is None:
        return
    if User.objects.filter(username=name).exists():
        audit.record_denied(_actor(request, name), "login", _target(name), "wrong password or code")
    else:
        log.warning("login of an unknown user refused", address=client_address(request))


def _actor(request: HttpRequest, name: str) -> Actor:
    return Actor(name, client_address(request), getattr(request, "request_id", ""))


def _target(name: str) -> str:
    return f"people.{name}"
