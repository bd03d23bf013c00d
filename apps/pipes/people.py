"""People: make users, give roles, switch off. There is always an admin. Called by API and pages; `up` makes the first one."""

from collections.abc import Sequence
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.contrib.sessions.models import Session as LoginSession
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apps.pipes import audit
from apps.pipes.audit import Actor
from apps.pipes.models import Person, Role
from apps.pipes.permissions import role_of
from apps.runtime import clock
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
        end_login_sessions(user)
    audit.record(actor, "person.enable" if active else "person.disable", f"people.{user.username}")


@transaction.atomic
def set_password(actor: Actor, user: User, password: str) -> None:
    """Give a user a new password and end the user's login sessions."""
    check_password(password, user.username)
    user.set_password(password)
    user.save(update_fields=["password"])
    end_login_sessions(user)
    audit.record(actor, "person.password", f"people.{user.username}")


def end_login_sessions(user: User) -> int:
    """Log a user out everywhere; gives how many login sessions ended."""
    live = LoginSession.objects.filter(expire_date__gte=clock.now_datetime())
    theirs = [session.pk for session in live if session.get_decoded().get("_auth_user_id") == str(user.pk)]
    return LoginSession.objects.filter(pk__in=theirs).delete()[0]


def describe(user: User) -> dict[str, Any]:
    """What the list of people shows of a user."""
    person = Person.objects.filter(user=user).first()
    restricted = person is not None and person.restricted
    return {
        "username": user.username,
        "role": role_of(user) if user.is_active else (person.role if person else Role.VIEWER),
        "active": user.is_active,
        "views": sorted(person.views.values_list("slug", flat=True)) if person and restricted else None,
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
