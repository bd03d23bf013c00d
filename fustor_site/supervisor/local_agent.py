"""The agent of this machine: enrolled on a directory with a pipe, a view and a key of its own. Used by up."""

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from msgspec import structs

from apps.pipes import keys
from apps.pipes.config.document import AgentDoc, AgentPipeDoc, Document, PipeDoc, ReceiverDoc, SenderDoc, SourceDoc, ViewDoc
from apps.pipes.config.render import render
from apps.pipes.config.service import Author, Wanted, change
from apps.pipes.models import Agent, AgentPipe, KeyKind, Source
from apps.runtime import clock
from apps.runtime.problems import Unauthorized
from apps.views.models import View
from fustor_site.supervisor.home import keep_secret
from fustor_site.supervisor.sample import make_sample_tree

# the ids under which this machine and what it sends through are configured
AGENT = "local"
RECEIVER = "http"


@dataclass(frozen=True)
class LocalAgent:
    """The agent of this machine: what it watches, under which names, and where it keeps its key and state."""

    agent_id: str
    pipe_id: str
    view_id: str
    watch: Path
    home: Path

    @property
    def key_file(self) -> Path:
        """Its key, readable by the owner only."""
        return self.home / "key"

    def command(self, url: str) -> list[str]:
        """Its command line. The key stays out of it: every user of the machine may read command lines."""
        run = [sys.executable, "-m", "agent_runner", "run", "--server", url]
        return [*run, "--watch", str(self.watch), "--agent-id", self.agent_id, "--pipe", self.pipe_id]

    def environment(self) -> dict[str, str]:
        """What it needs beside its command line."""
        return {
            "FUSTOR_AGENT_HOME": str(self.home),
            "FUSTOR_AGENT_KEY_FILE": str(self.key_file),
            "FUSTOR_AGENT_BROKER_URL": settings.FUSTOR_REDIS_URL,
        }


def enrol(home: Path, watch: Path | None, url: str) -> LocalAgent:
    """The agent for `watch` (None: the directory of last time, or a sample tree); what is missing of it is made.

    What a person changed since (settings of the view, names) is left alone. Raises FileNotFoundError when the directory of
    last time is gone.
    """
    directory = watch or _last_watched() or make_sample_tree(home / "sample")
    if not directory.is_dir():
        raise FileNotFoundError(str(directory))
    name = _name_of(directory)
    change(Wanted(_missing(render(), name, directory, url)), Author("manage.py up", f"Local agent on {directory}"))
    agent = LocalAgent(AGENT, name, name, directory, home / "agent")
    _ensure_key(agent)
    return agent


def _last_watched() -> Path | None:
    newest = AgentPipe.objects.filter(agent__slug=AGENT).select_related("source").order_by("-pk").first()
    return Path(newest.source.uri) if newest else None


def _name_of(directory: Path) -> str:
    """`local` for the first directory of this home, `local-2` for the second …: one id for source, pipe, view and agent pipe."""
    known = AgentPipe.objects.filter(agent__slug=AGENT, source__uri=str(directory)).first()
    if known:
        return known.slug
    taken = set(Source.objects.values_list("slug", flat=True)) | set(View.objects.values_list("slug", flat=True))
    names = (AGENT if number == 1 else f"{AGENT}-{number}" for number in itertools.count(1))
    return next(name for name in names if name not in taken)


def _missing(current: Document, name: str, directory: Path, url: str) -> Document:
    """What must be added to the configuration, and the sender's address when the server moved."""
    wanted = Document(
        receivers={RECEIVER: ReceiverDoc()},
        views={name: ViewDoc()},
        pipes={name: PipeDoc(receiver=RECEIVER, views=(name,))},
        sources={name: SourceDoc(uri=str(directory))},
    )
    sections = {kind: _without(wanted.section(kind), current.section(kind)) for kind in ("receivers", "views", "pipes", "sources")}
    sender = structs.replace(current.senders.get(AGENT, SenderDoc()), uri=url)
    agent = current.agents.get(AGENT, AgentDoc(name="This machine"))
    agent_pipe = agent.pipes.get(name, AgentPipeDoc(source=name, sender=AGENT, pipe=name))
    agents = {AGENT: structs.replace(agent, pipes=agent.pipes | {name: agent_pipe})}
    return structs.replace(Document(), **sections, senders={AGENT: sender}, agents=agents)


def _without(wanted: dict[str, Any], present: dict[str, Any]) -> dict[str, Any]:
    return {ident: entry for ident, entry in wanted.items() if ident not in present}


def _ensure_key(agent: LocalAgent) -> None:
    """A key in the agent's home that this server takes; a lost or revoked one is replaced."""
    row = Agent.objects.get(slug=AGENT)
    if row.enrolled_at is None:
        row.enrolled_at = clock.now_datetime()
        row.save(update_fields=["enrolled_at"])
    if agent.key_file.exists() and _is_taken(agent.key_file.read_text().strip()):
        return
    keys.revoke(row.keys.filter(revoked_at=None))
    _, secret = keys.create_key(KeyKind.AGENT, agent=row, name="local agent", created_by="manage.py up")
    keep_secret(agent.key_file, secret)


def _is_taken(secret: str) -> bool:
    try:
        keys.authenticate(secret, "127.0.0.1")
    except Unauthorized:
        return False
    return True
