"""How much of the fleet a person may see. Pages and live rooms read every object of this app through a `Sight`.

A restricted viewer sees some views, the pipes that feed them, and the sessions, jobs and agents of these pipes; of what such an
object does for other views nothing is told. Everyone else sees everything.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from apps.pipes import permissions
from apps.pipes.models import Agent, Pipe
from apps.pipes.permissions import Verb
from apps.sessions.models import Job, Session
from apps.views.models import View

PHASES = (Job.Kind.SNAPSHOT, Job.Kind.AUDIT, Job.Kind.SENTINEL)


@dataclass(frozen=True)
class Sight:
    """The ids of the views that may be seen; None: all of them. Equal sights share a live room."""

    view_ids: frozenset[int] | None = None

    def sees(self, view_id: int) -> bool:
        """Whether this view may be seen."""
        return self.view_ids is None or view_id in self.view_ids

    def within(self, relation: str) -> Q:
        """The condition that what `relation` leads to is a view that may be seen."""
        return Q() if self.view_ids is None else Q(**{f"{relation}__in": sorted(self.view_ids)})

    def slugs(self, views: Iterable[View]) -> tuple[str, ...]:
        """The slugs of those of the views that may be seen."""
        return tuple(view.slug for view in views if self.sees(view.pk))

    def views(self) -> QuerySet[View]:
        """The views themselves."""
        return View.objects.filter(self.within("pk"))

    def pipes(self) -> QuerySet[Pipe]:
        """The pipes that feed one of them."""
        return Pipe.objects.filter(self._of_pipes("pk"))

    def sessions(self) -> QuerySet[Session]:
        """The sessions of these pipes."""
        return Session.objects.filter(self._of_pipes("pipe"))

    def jobs(self) -> QuerySet[Job]:
        """The jobs on trees of these views, and the phases of their pipes: a phase works for all views of its pipe."""
        if self.view_ids is None:
            return Job.objects.all()
        return Job.objects.filter(self.within("tree__view") | (self._of_pipes("pipe") & Q(kind__in=PHASES)))

    def agents(self) -> QuerySet[Agent]:
        """The agents that feed these pipes, ever fed them, or are configured to."""
        if self.view_ids is None:
            return Agent.objects.all()
        fed = Q(slug__in=self.sessions().values("agent_name"))
        configured = Q(pk__in=Agent.objects.filter(self._of_pipes("agent_pipes__pipe")).values("pk"))
        return Agent.objects.filter(fed | configured)

    def _of_pipes(self, relation: str) -> Q:
        """As a subquery, so that a pipe that feeds two views is there once."""
        if self.view_ids is None:
            return Q()
        return Q(**{f"{relation}__in": Pipe.objects.filter(self.within("views")).values("pk")})


EVERYTHING = Sight()


def sight_of(user: AbstractBaseUser | AnonymousUser) -> Sight:
    """What this person may see; nothing for nobody."""
    if not permissions.is_restricted(user):
        return EVERYTHING
    return Sight(frozenset(view.pk for view in permissions.visible_views(user)))


def sights_of(user_ids: Collection[int]) -> dict[int, Sight]:
    """User id → what the person may see by now, in two queries. Who may not look at all (any more) is left out."""
    users = get_user_model().objects.filter(pk__in=user_ids).select_related("person").prefetch_related("person__views")
    return {user.pk: sight_of(user) for user in users if permissions.allowed(user, Verb.READ)}
