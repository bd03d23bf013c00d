"""A pipe with its view, its key and a clock that stands still: what the tests of the services need."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import redis
from django.core.cache import cache
from pytest_django.fixtures import Settings

from apps.pipes.keys import create_key
from apps.pipes.models import Pipe, PipeView, Receiver
from apps.pipes.principals import KeyPrincipal
from apps.runtime import clock
from apps.sessions.models import Job, Session
from apps.sessions.services import sessions
from apps.sessions.services.sessions import Wish
from apps.views.models import Tree, View


@dataclass
class Site:
    """One receiver with pipes into one view, and a principal that may push into all of them."""

    pipes: list[Pipe]
    view: View
    principal: KeyPrincipal
    opened: list[Session] = field(default_factory=list)

    @property
    def pipe(self) -> Pipe:
        return self.pipes[0]

    @property
    def tree(self) -> Tree:
        return Tree.objects.select_related("view").get(view=self.view)

    def open(self, task: str = "a:p", *, protocol: int = 2, **wish: object) -> Session:
        """Open a session; protocol 3 says when it was sent, as its handshake does."""
        if protocol == 3:
            wish.setdefault("sent_at", 1_000.0)
        session = sessions.open_session(self.principal, Wish(task_id=task, protocol=protocol, **wish))  # type: ignore[arg-type]
        self.opened.append(session)
        return session

    def jobs(self, kind: Job.Kind | None = None) -> list[Job]:
        """All jobs, oldest first."""
        found = Job.objects.filter(pipe__in=self.pipes).order_by("created_at")
        return list(found.filter(kind=kind) if kind else found)


@pytest.fixture(autouse=True)
def no_signs_of_life_from_before() -> None:
    """Session numbers start anew with each rolled-back database; what Redis, when it runs, knows of them must too."""
    with contextlib.suppress(redis.RedisError):
        cache.clear()


@pytest.fixture
def make_site(db: None) -> Callable[..., Site]:
    """`make_site(driver="fs", pipes=1, view={…}, **columns of the pipes)`."""
    made = 0

    def make(*, driver: str = "fs", pipes: int = 1, view: dict[str, object] | None = None, **columns: object) -> Site:
        nonlocal made
        made += 1
        receiver = Receiver.objects.create(slug=f"receiver{made}")
        its_view = View.objects.create(slug=f"view{made}", driver=driver, **(view or {}))
        its_pipes = [
            Pipe.objects.create(slug=f"pipe{made}-{number}", receiver=receiver, **columns) for number in range(1, pipes + 1)
        ]
        for pipe in its_pipes:
            PipeView.objects.create(pipe=pipe, view=its_view)
        key, _ = create_key("receiver", receiver=receiver, pipes=its_pipes)
        return Site(its_pipes, its_view, KeyPrincipal(key, frozenset(pipe.pk for pipe in its_pipes)))

    return make


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """One pipe, one `fs` view, default settings: 30 s timeout, audits every 600 s."""
    return make_site()


@pytest.fixture
def time() -> Iterator[clock.ManualClock]:
    """Server time that only moves when told."""
    with clock.use(clock.ManualClock()) as manual:
        assert isinstance(manual, clock.ManualClock)
        yield manual


@pytest.fixture(autouse=True)
def beats_are_written_at_once(settings: Settings) -> None:
    """No background writer in unit tests."""
    settings.FUSTOR_BEAT_FLUSH_SECONDS = 0
