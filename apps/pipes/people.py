"""People: make and invite users, give roles, switch off. There is always an admin. Called by API, pages and `up`."""

import zoneinfo
from collections.abc import Sequence
from typing import Any

from axes.utils import reset as axes_reset
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apps.pipes import audit, factors, logins
from apps.pipes.audit import Actor
from apps.pipes.models import Person, Role, Theme
from apps.pipes.permissions import granted_role
from apps.runtime.ids import new_secret
from apps.runtime.problems import Conflict, Invalid, NotFound
from apps.views.models import View


def find(username: str) -> User:
    """The user with this name. Raises NotFound."""
    user: User | None = User.objects.filter(username=username).select_related("person").first()
    if user is None:
        raise NotFound(f"There is no user {username!r}.", fix="See the list of users.")
    return user


@transaction.atomic
def create(actor: Actor, username: str, password: str, role: str, views: Sequence[View] | None = None) -> User:
    """Make a user with a role. `views`: a viewer who sees these only. Raises Invalid, Conflict."""
    check_password(password, username)
    try:
        with transaction.atomic():
            user: User = User.objects.create_user(username=username, password=password)
    except IntegrityError as error:
        raise Conflict(f"There is a user {username!r} already.", field="username") from error
    _give_role(user, role, views)
    audit.record(actor, "person.create", f"people.{username}", after=describe(user))
    return user


@transaction.atomic
def invite(actor: Actor, username: str, role: str, views: Sequence[View] | None = None) -> tuple[User, str]:
    """Make a user without a password, and the path at which the person sets one. Raises Invalid, Conflict."""
    user = create(actor, username, new_secret(), role, views)
    user.set_unusable_password()
    user.save(update_fields=["password"])
    return user, new_link(actor, user)


@transaction.atomic
def new_link(actor: Actor, user: User) -> str:
    """A path at which a person sets a password: good once, for FUSTOR_INVITATION_HOURS. The present password goes on until then."""
    audit.record(actor, "person.link", f"people.{user.username}")
    number, token = urlsafe_base64_encode(force_bytes(user.pk)), default_token_generator.make_token(user)
    return reverse("set_password", args=[number, token])


@transaction.atomic
def change_role(actor: Actor, user: User, role: str, views: Sequence[View] | None = None) -> None:
    """Give a user another role. Conflict when nobody would be an admin any more."""
    before = describe(user)
    _give_role(user, role, views)
    _check_admin_remains()
    audit.record(actor, "person.role", f"people.{user.username}", before=before, after=describe(user))


@transaction.atomic
def switch(actor: Actor, user: User, *, active: bool) -> None:
    """Let a user log in or not; switching off ends the user's login sessions at once."""
    user.is_active = active
    user.save(update_fields=["is_active"])
    _check_admin_remains()
    if not active:
        logins.end(user)
    audit.record(actor, "person.enable" if active else "person.disable", f"people.{user.username}")


@transaction.atomic
def set_password(actor: Actor, user: User, password: str, *, keep: str | None = None) -> None:
    """Give a user a new password and end the user's login sessions, but the one with the key `keep`."""
    check_password(password, user.username)
    user.set_password(password)
    user.save(update_fields=["password"])
    logins.end(user, but=keep)
    forgive(user)
    audit.record(actor, "person.password", f"people.{user.username}")


@transaction.atomic
def end_logins(actor: Actor, user: User, *, but: str | None = None) -> int:
    """Log a user out everywhere (`but` in the login session with this key). How many logins ended."""
    ended = logins.end(user, but=but)
    audit.record(actor, "person.logout", f"people.{user.username}", after={"ended": ended})
    return ended


@transaction.atomic
def delete(actor: Actor, user: User) -> None:
    """Delete a user for good; what the person did stays in the audit log. Conflict for the last admin."""
    before = describe(user)
    logins.end(user)
    user.delete()
    _check_admin_remains()
    audit.record(actor, "person.delete", f"people.{before['username']}", before=before)


def save_own_settings(user: User, theme: str, time_zone: str) -> None:
    """How the console looks to a person. Raises Invalid."""
    if theme not in Theme.values:
        raise Invalid(f"There is no theme {theme!r}.", field="theme")
    if time_zone and time_zone not in zoneinfo.available_timezones():
        raise Invalid(f"There is no time zone {time_zone!r}.", field="time_zone", fix="Use an IANA name such as Europe/Berlin.")
    Person.objects.update_or_create(
        user=user,
        defaults={"theme": theme, "time_zone": time_zone},
        create_defaults={"theme": theme, "time_zone": time_zone, "role": granted_role(user)},
    )


def forgive(user: User) -> None:
    """Let a user who was locked out after wrong passwords try again."""
    axes_reset(username=user.username)


def describe(user: User) -> dict[str, Any]:
    """What the list of people shows of a user."""
    person = Person.objects.filter(user=user).first()
    restricted = person is not None and person.restricted
    return {
        "username": user.username,
        "role": granted_role(user),
        "active": user.is_active,
        "views": sorted(person.views.values_list("slug", flat=True)) if person and restricted else None,
        "second_factor": factors.has_factor(user),
        "last_login": user.last_login.isoformat() if user.last_login else None,
    }


def check_password(password: str, username: str) -> None:
    """Raise Invalid when the password policy refuses a password, with every reason."""
    try:
        validate_password(password, User(username=username))
    except ValidationError as error:
        raise Invalid(" ".join(error.messages), field="password", fix="Choose a longer password that is not a word.") from error


def _give_role(user: User, role: str, views: Sequence[View] | None) -> None:
    if role not in Role.values:
        raise Invalid(f"There is no role {role!r}.", field="role", fix=f"Choose from {', '.join(Role.values)}.")
    if views is not None and role != Role.VIEWER:
        raise Invalid("Only a viewer can be restricted to views.", field="views", fix="Leave the views out.")
    user.is_superuser = role == Role.ADMIN
    user.save(update_fields=["is_superuser"])
    person, _ = Person.objects.update_or_create(user=user, defaults={"role": role, "restricted": views is not None})
    person.views.set(views or [])
    user.refresh_from_db()  # drops the role that the instance remembers


def _check_admin_remains() -> None:
    if not User.objects.filter(is_active=True, is_superuser=True).exists():
        raise Conflict("Somebody must stay an admin.", fix="Make another user an admin first.")
