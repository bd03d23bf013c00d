"""Who is asking: a program with a key, or a person with a session of the console. `request.auth` is one of these.

Both satisfy apps.views.access.Principal. A KeyPrincipal carries its scope with it, so asking it costs no query.
"""

from dataclasses import dataclass, field

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet

from apps.pipes import confirmation, permissions
from apps.pipes.models import ApiKey, KeyKind, Pipe, Role
from apps.pipes.permissions import Verb
from apps.views.models import View


@dataclass(frozen=True)
class KeyPrincipal:
    """A program, known by its key."""

    key: ApiKey
    pipe_ids: frozenset[int] = frozenset()
    view_ids: frozenset[int] = frozenset()
    verbs: frozenset[Verb] = field(default_factory=frozenset)

    @property
    def name(self) -> str:
        """For logs and history: kind, name and the visible ends of the key."""
        called = f" {self.key.name}" if self.key.name else ""
        return f"{self.key.kind} key{called} {self.key}"

    def may_push(self, pipe: Pipe) -> bool:
        """Whether it may ingest into this pipe."""
        return pipe.pk in self.pipe_ids

    def pipes(self) -> QuerySet[Pipe]:
        """The pipes that it may ingest into, by id."""
        return Pipe.objects.filter(pk__in=self.pipe_ids)

    def may_read(self, view: View) -> bool:
        """Whether it may read this view."""
        return self.reads_all or view.pk in self.view_ids

    def may_administer(self, view: View) -> bool:
        """Whether it may reset this view and mark paths in it: management keys with that scope only."""
        return Verb.RESET in self.verbs and self.may_read(view)

    def may_scan(self, view: View) -> bool:
        """Whether it may order scans: a query key of the view (as in V2), a management key with the scope `run`."""
        return self.may_read(view) and (self.key.kind != KeyKind.MANAGEMENT or Verb.RUN in self.verbs)

    def may_run(self, view: View) -> bool:
        """Whether it may settle by its word what scans found: management keys with the scope `run` only."""
        return Verb.RUN in self.verbs and self.may_read(view)

    def check_confirmed(self) -> None:
        """A key needs no confirmation."""

    def readable_views(self) -> QuerySet[View]:
        """The views that it may read."""
        return View.objects.all() if self.reads_all else View.objects.filter(pk__in=self.view_ids)

    def allows(self, verb: Verb) -> bool:
        """Whether its scopes hold this verb (management keys)."""
        return verb in self.verbs

    @property
    def sees_everything(self) -> bool:
        """Whether it is bound to no particular views."""
        return not self.view_ids

    @property
    def reads_all(self) -> bool:
        """Whether it may read every view."""
        if self.key.kind == KeyKind.MANAGEMENT:
            return Verb.READ in self.verbs and not self.view_ids
        return self.key.all_views


@dataclass(frozen=True)
class PersonPrincipal:
    """A person, known by a login session of the console."""

    user: AbstractBaseUser
    confirmed: bool = False

    @property
    def name(self) -> str:
        """The user name."""
        return self.user.get_username()

    def may_read(self, view: View) -> bool:
        """Whether the person may look at this view."""
        return permissions.allowed(self.user, Verb.READ, view)

    def may_administer(self, view: View) -> bool:
        """Whether the person may reset this view."""
        return permissions.allowed(self.user, Verb.RESET, view)

    def may_scan(self, view: View) -> bool:
        """Whether the person may order scans."""
        return permissions.allowed(self.user, Verb.RUN, view)

    def may_run(self, view: View) -> bool:
        """Whether the person may settle by their word what scans found."""
        return permissions.allowed(self.user, Verb.RUN, view)

    def check_confirmed(self) -> None:
        """Raise Forbidden when the person has not confirmed lately who they are."""
        if not self.confirmed:
            raise confirmation.stale()

    def readable_views(self) -> QuerySet[View]:
        """The views that the person may look at."""
        return permissions.visible_views(self.user)

    def allows(self, verb: Verb) -> bool:
        """Whether the person's role holds this verb."""
        return permissions.allowed(self.user, verb)

    @property
    def sees_everything(self) -> bool:
        """Whether the person is not restricted to some views."""
        person = permissions.person_of(self.user)
        return permissions.role_of(self.user) == Role.ADMIN or person is None or not person.restricted


Principal = KeyPrincipal | PersonPrincipal
