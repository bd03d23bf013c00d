"""Users and roles."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.pipes import factors, logins, people
from apps.pipes.api.guard import allow, principal_of
from apps.pipes.api.schemas import Paging
from apps.pipes.audit import Actor
from apps.pipes.models import Role
from apps.pipes.permissions import TABLE, Verb, granted_role
from apps.runtime.problems import Forbidden, Invalid
from apps.views.models import View

router = Router()


class PersonIn(Schema):
    """A new user. `views`: a viewer who sees these only. Without a password the answer has a link at which the person sets one."""

    username: str = Field(..., min_length=1, max_length=150, pattern=r"^[\w.@+-]+$")
    password: str | None = Field(None, max_length=1000)
    role: Role = Role.VIEWER
    views: list[str] | None = None


class PersonChange(Schema):
    """What to change of a user; what is left out stays."""

    role: Role | None = None
    views: list[str] | None = None
    active: bool | None = None
    password: str | None = Field(None, max_length=1000)


@router.get("/people", summary="Users with their roles")
def list_people(request: HttpRequest, page: Query[Paging]) -> dict[str, Any]:
    """By name."""
    allow(request, Verb.PEOPLE, "people")
    found = User.objects.order_by("username")
    return {"count": found.count(), "people": [people.describe(user) for user in found[page.offset : page.offset + page.limit]]}


@router.post("/people", response={201: dict[str, Any]}, summary="Make a user")
def create_person(request: HttpRequest, body: PersonIn) -> tuple[int, dict[str, Any]]:
    """422 names what the password policy refuses."""
    actor = allow(request, Verb.PEOPLE, f"people.{body.username}")
    _check_not_above(request, body.role)
    if body.password is None:
        user, path = people.invite(actor, body.username, body.role, _views(body.views))
        return 201, {**people.describe(user), "link": path}
    user = people.create(actor, body.username, body.password, body.role, _views(body.views))
    return 201, people.describe(user)


@router.get("/people/{username}", summary="One user")
def get_person(request: HttpRequest, username: str) -> dict[str, Any]:
    """With the logins that are live."""
    allow(request, Verb.PEOPLE, f"people.{username}")
    user = people.find(username)
    seen = [
        {"browser": one.login.browser, "address": one.login.address, "last_seen_at": one.last_seen_at.isoformat()}
        for one in logins.of(user)
    ]
    return {**people.describe(user), "logins": seen}


@router.delete("/people/{username}", response={204: None}, summary="Delete a user")
def delete_person(request: HttpRequest, username: str) -> tuple[int, None]:
    """What the user did stays in the audit log. 409 for the last admin."""
    actor, user = _order(request, username)
    people.delete(actor, user)
    return 204, None


@router.delete("/people/{username}/logins", response={204: None}, summary="Log a user out everywhere")
def end_logins(request: HttpRequest, username: str) -> tuple[int, None]:
    """Every browser must log in again."""
    actor, user = _order(request, username)
    people.end_logins(actor, user)
    return 204, None


@router.delete("/people/{username}/second-factor", response={204: None}, summary="Reset the second factor of a user")
def reset_factor(request: HttpRequest, username: str) -> tuple[int, None]:
    """App, passkeys and recovery codes are good no more."""
    actor, user = _order(request, username)
    factors.reset(actor, user)
    return 204, None


@router.post("/people/{username}/link", response={201: dict[str, str]}, summary="A link to set a password")
def new_link(request: HttpRequest, username: str) -> tuple[int, dict[str, str]]:
    """A path of this server, in this answer only; good once."""
    actor, user = _order(request, username)
    return 201, {"link": people.new_link(actor, user)}


@router.patch("/people/{username}", summary="Change role, views, password, or switch a user off")
@transaction.atomic
def change_person(request: HttpRequest, username: str, body: PersonChange) -> dict[str, Any]:
    """409 when nobody would be an admin any more."""
    actor, user = _order(request, username)
    if body.role is not None:
        _check_not_above(request, body.role)
    if body.role is not None or body.views is not None:
        people.change_role(actor, user, body.role or people.describe(user)["role"], _views(body.views))
    if body.password is not None:
        people.set_password(actor, user, body.password)
    if body.active is not None:
        people.switch(actor, user, active=body.active)
    return people.describe(user)


def _order(request: HttpRequest, username: str) -> tuple[Actor, User]:
    """Who orders, and the user it is about. Raises Forbidden, NotFound."""
    actor = allow(request, Verb.PEOPLE, f"people.{username}")
    user = people.find(username)
    _check_not_above(request, granted_role(user))
    return actor, user


def _check_not_above(request: HttpRequest, role: str) -> None:
    """A key that may change users makes nobody mightier than itself, and does nothing to those who are."""
    above = sorted(verb for verb in TABLE[Role(role)] if not principal_of(request).allows(verb))
    if above:
        raise Forbidden(f"The role {role!r} may {above[0]!r}, which you may not.", field="role", fix="Ask an admin.")


def _views(slugs: list[str] | None) -> list[View] | None:
    if slugs is None:
        return None
    found = {view.slug: view for view in View.objects.filter(slug__in=slugs)}
    if missing := sorted(set(slugs) - found.keys()):
        raise Invalid(f"There is no view {missing[0]!r}.", field="views")
    return list(found.values())
