"""Users and roles."""

from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.pipes import people
from apps.pipes.api.guard import allow
from apps.pipes.api.schemas import Paging
from apps.pipes.models import Role
from apps.pipes.permissions import Verb
from apps.runtime.problems import Invalid
from apps.views.models import View

router = Router()


class PersonIn(Schema):
    """A new user. `views`: a viewer who sees these only."""

    username: str = Field(..., min_length=1, max_length=150, pattern=r"^[\w.@+-]+$")
    password: str = Field(..., max_length=1000)
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
    user = people.create(actor, body.username, body.password, body.role, _views(body.views))
    return 201, people.describe(user)


@router.patch("/people/{username}", summary="Change role, views, password, or switch a user off")
def change_person(request: HttpRequest, username: str, body: PersonChange) -> dict[str, Any]:
    """409 when nobody would be an admin any more."""
    actor = allow(request, Verb.PEOPLE, f"people.{username}")
    user = people.find(username)
    if body.role is not None or body.views is not None:
        people.change_role(actor, user, body.role or people.describe(user)["role"], _views(body.views))
    if body.password is not None:
        people.set_password(actor, user, body.password)
    if body.active is not None:
        people.switch(actor, user, active=body.active)
    return people.describe(user)


def _views(slugs: list[str] | None) -> list[View] | None:
    if slugs is None:
        return None
    found = {view.slug: view for view in View.objects.filter(slug__in=slugs)}
    if missing := sorted(set(slugs) - found.keys()):
        raise Invalid(f"There is no view {missing[0]!r}.", field="views")
    return list(found.values())
