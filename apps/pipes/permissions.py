"""The one permission table: what a role may do. Pages, API, websockets and commands all ask here."""

from collections.abc import Iterable
from enum import StrEnum

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, QuerySet

from apps.pipes import factors
from apps.pipes.models import Person, Role
from apps.views.models import View


class Verb(StrEnum):
    """What can be allowed or not."""

    READ = "read"  # look at anything that is no secret
    SURVEY = "survey"  # look at what belongs to no single view: keys, changes, the system; never for a restricted viewer
    RUN = "run"  # scans, audits, cancel, retry, approve what an audit holds back, close blind spots
    CONTROL = "control"  # pause a pipe, hand leadership over, end a session
    CONFIGURE = "configure"  # change receivers, pipes, views, agents, sources, senders; restore; import
    ENROL = "enrol"  # tokens, approve and reject agents
    KEYS = "keys"  # make, rotate, revoke keys
    RESET = "reset"  # empty a view, delete what holds memory
    PEOPLE = "people"  # users and roles
    AUDIT = "audit"  # read the audit log


_VIEWER = frozenset({Verb.READ, Verb.SURVEY})
_OPERATOR = _VIEWER | {Verb.RUN, Verb.CONTROL}
TABLE: dict[Role, frozenset[Verb]] = {Role.VIEWER: _VIEWER, Role.OPERATOR: _OPERATOR, Role.ADMIN: frozenset(Verb)}
# what a person confirms with a password or second factor, on pages and in the API
CONFIRMED = frozenset({Verb.KEYS, Verb.RESET, Verb.PEOPLE})
SCOPES = frozenset(Role.values) | frozenset(Verb)

User = AbstractBaseUser | AnonymousUser


def allowed(user: User, verb: str, obj: Model | None = None) -> bool:
    """Whether a person may do `verb` (to `obj`). Raises ValueError for a verb that is not in the table."""
    role = role_of(user)
    if Verb(verb) not in (TABLE[role] if role else frozenset()):
        return False
    if verb == Verb.SURVEY and is_restricted(user):
        return False
    return not isinstance(obj, View) or may_see(user, obj)


def role_of(user: User) -> Role | None:
    """The role that counts now; None for nobody, a user that was switched off, an admin who lacks a needed second factor."""
    if not user.is_authenticated or not user.is_active or lacks_factor(user):
        return None
    return granted_role(user)


def granted_role(user: User) -> Role:
    """The role that was given to a user, whether it counts now or not."""
    if getattr(user, "is_superuser", False):
        return Role.ADMIN
    person = person_of(user)
    return Role(person.role) if person else Role.VIEWER


def lacks_factor(user: User) -> bool:
    """Whether this is an admin who must set up a second factor before anything else (FUSTOR_ADMINS_NEED_SECOND_FACTOR)."""
    if not settings.FUSTOR_ADMINS_NEED_SECOND_FACTOR or not isinstance(user, AbstractBaseUser):
        return False
    return granted_role(user) == Role.ADMIN and not factors.has_factor(user)


def person_of(user: User) -> Person | None:
    """The user's row of roles, if there is one."""
    # a missing row is an AttributeError on the reverse side of a one-to-one relation
    person: Person | None = getattr(user, "person", None)
    return person


def may_see(user: User, view: View) -> bool:
    """Whether a person may look at this view at all."""
    return visible_views(user).filter(pk=view.pk).exists()


def visible_views(user: User) -> QuerySet[View]:
    """The views that a person may look at: all of them, unless the person is a restricted viewer."""
    if role_of(user) is None:
        return View.objects.none()
    person = person_of(user)
    return person.views.all() if person and is_restricted(user) else View.objects.all()


def is_restricted(user: User) -> bool:
    """Whether a person sees some views only: a restricted viewer, and nobody at all."""
    role = role_of(user)
    person = person_of(user)
    return role is None or (role == Role.VIEWER and person is not None and person.restricted)


def verbs_of(scopes: Iterable[str]) -> frozenset[Verb]:
    """The verbs that the scopes of a management key stand for: single verbs, or a role's name for all of its verbs."""
    verbs: set[Verb] = set()
    for scope in scopes:
        verbs |= TABLE[Role(scope)] if scope in Role.values else {Verb(scope)}
    return frozenset(verbs)
