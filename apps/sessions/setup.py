"""How far a new installation is: receiver, view, pipe, first agent. Read from what is there, so set-up resumes anywhere."""

from dataclasses import dataclass
from enum import StrEnum

from django.http import HttpRequest

from apps.pipes.models import Enrolment, Pipe, Receiver
from apps.pipes.permissions import Verb, allowed
from apps.sessions.models import Session
from apps.views.models import Tree, View

SKIPPED = "setup_skipped"


class Arrival(StrEnum):
    """How far the first host is, in this order."""

    AWAITED = "awaited"  # nobody showed the token yet
    PENDING = "pending"  # a host waits for a person
    APPROVED = "approved"  # it may fetch its key
    CONNECTED = "connected"  # it has a session; the first snapshot runs
    LIVE = "live"  # the first snapshot is complete
    REJECTED = "rejected"


@dataclass(frozen=True)
class Host:
    """The first host and what is known of it."""

    arrival: Arrival
    name: str = ""
    enrolment: Enrolment | None = None
    files: int = 0

    @property
    def is_through(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.arrival is Arrival.LIVE


@dataclass(frozen=True)
class Progress:
    """What is there. `token_id` is that of the token that was made for the first host."""

    receiver: Receiver | None
    view: View | None
    pipe: Pipe | None
    host: Host | None

    @property
    def step(self) -> str:
        """What is to be done next: `receiver`, `view`, `pipe`, `agent` or `done`."""
        for name in ("receiver", "view", "pipe"):
            if getattr(self, name) is None:
                return name
        return "done" if self.host and self.host.is_through else "agent"

    @property
    def is_empty(self) -> bool:
        """Whether nothing was configured at all."""
        return self.receiver is None and self.view is None and self.pipe is None


def progress(token_id: int | None = None) -> Progress:
    """How far this installation is."""
    pipe = Pipe.objects.filter(receiver__isnull=False, views__isnull=False).order_by("pk").first()
    return Progress(
        receiver=Receiver.objects.order_by("pk").first(),
        view=View.objects.order_by("pk").first(),
        pipe=pipe,
        host=_host(pipe, token_id) if pipe else None,
    )


def invites(request: HttpRequest) -> bool:
    """Whether this person should be led through set-up: an admin of an installation with nothing in it who has not skipped it."""
    if request.session.get(SKIPPED) or not allowed(request.user, Verb.CONFIGURE):
        return False
    return not (Receiver.objects.exists() or View.objects.exists() or Pipe.objects.exists())


def _host(pipe: Pipe, token_id: int | None) -> Host | None:
    session = Session.objects.filter(pipe=pipe, ended_at=None).order_by("number").first()
    if session:
        done = Tree.objects.filter(view__in=pipe.views.all(), snapshot_complete_at__isnull=False).first()
        files = done.directories.filter(parent=None).values_list("total_files", flat=True).first() if done else None
        return Host(Arrival.LIVE if done else Arrival.CONNECTED, session.agent_name, files=files or 0)
    if token_id is None:
        return None
    wish = Enrolment.objects.filter(token_id=token_id).order_by("-created_at").first()
    if wish is None:
        return Host(Arrival.AWAITED)
    arrival = {Enrolment.State.PENDING: Arrival.PENDING, Enrolment.State.REJECTED: Arrival.REJECTED}
    return Host(arrival.get(Enrolment.State(wish.state), Arrival.APPROVED), wish.agent_slug, wish)
