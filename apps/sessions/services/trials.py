"""Would it work there? A source, sender or agent pipe from a form is looked at by the agent that would run it, before it is saved.

The agent gets a command, looks (`agent_runner/check.py`) and reports; nothing is started or changed. What cannot be known yet, or
at all, is said to be unknown. Called by the trial page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db.models import Q

from apps.pipes.config.document import AgentDoc, AgentPipeDoc, Document, SenderDoc, SourceDoc, from_plain
from apps.pipes.config.places import AGENT_PIPES, Place
from apps.pipes.models import Agent, ApiKey
from apps.pipes.part import configuration_of
from apps.runtime import clock
from apps.sessions.models import Command, Job, Session
from apps.sessions.services import commands
from apps.sessions.status import Level

CHECK = "check_config"
TRIED = "try"
# a driver that no check looks into: a sender is tried without reading any storage
NO_SOURCE = SourceDoc(uri="-", driver="none")
ABOUTS = ("path", "key", "clock", "watches")
ENDED_BADLY = (Job.State.FAILED, Job.State.EXPIRED, Job.State.CANCELLED)


@dataclass(frozen=True)
class Verdict:
    """What is known of one thing: `about` is agent, opens, path, key, clock or watches."""

    about: str
    level: Level
    words: str
    fix: str = ""


def part_of(document: Document, place: Place, fields: Mapping[str, Any], agent: str) -> dict[str, Any]:
    """What the agent would run if it ran what the form says and nothing else. Pure."""
    if place.kind == AGENT_PIPES:
        pipe = from_plain(dict(fields), AgentPipeDoc)
    elif place.kind == "sources":
        pipe = AgentPipeDoc(source=TRIED, sender=TRIED)
        document = _with(document, sources={TRIED: from_plain(dict(fields), SourceDoc)}, senders={TRIED: SenderDoc()})
    else:
        pipe = AgentPipeDoc(source=TRIED, sender=TRIED)
        document = _with(document, sources={TRIED: NO_SOURCE}, senders={TRIED: from_plain(dict(fields), SenderDoc)})
    return configuration_of(_with(document, agents={agent: AgentDoc(pipes={place.own_id or TRIED: pipe})}), agent)


def order(agent: str, part: dict[str, Any], actor: str) -> Command | None:
    """Ask the agent to look; None when it is not connected. Raises Conflict for an agent that is too old, Busy."""
    session = Session.objects.filter(agent_name=agent, ended_at=None).order_by("-protocol", "-number").first()
    return None if session is None else commands.send(session, CHECK, {"config": part}, actor=actor)


def verdicts(agent: str, part: Mapping[str, Any], command: Command | None) -> list[Verdict]:
    """Everything that is known by now of a part."""
    ran: Mapping[str, Any] = part.get("pipes", {})
    pipes = sorted({str(pipe["server_pipe"]) for pipe in ran.values() if pipe.get("server_pipe")})
    keys = [verdict for pipe in pipes for verdict in _opens(agent, pipe)]
    return [_connected(agent, command), *keys, *_found_there(command, several=len(ran) > 1)]


def _with(document: Document, **sections: dict[str, Any]) -> Document:
    merged = {kind: {**document.section(kind), **objects} for kind, objects in sections.items()}
    return msgspec.structs.replace(document, **merged)


def _connected(agent: str, command: Command | None) -> Verdict:
    if command is not None and command.session.ended_at is None:
        return Verdict("agent", Level.OK, f"{agent} is connected.")
    if Session.objects.filter(agent_name=agent, ended_at=None).exists():
        return Verdict("agent", Level.OK, f"{agent} is connected, by a newer session than the one that was asked.", "Test again.")
    known = Agent.objects.filter(slug=agent).first()
    ever = "was connected before" if known and known.last_seen_at else "was never seen"
    return Verdict("agent", Level.BAD, f"{agent} is not connected; it {ever}.", "Start fustor-agent on it, then test again.")


def _opens(agent: str, pipe: str) -> list[Verdict]:
    """Whether a key that the agent has, or has used, opens the pipe once this is saved."""
    usable = ApiKey.objects.filter(revoked_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=clock.now_datetime()))
    own = usable.filter(agent__slug=agent).exists()
    shared = usable.filter(pipes__slug=pipe, sessions__agent_name=agent).exists()
    if own or shared:
        whose = "Its own key" if own else "The receiver key that it uses"
        return [Verdict("opens", Level.OK, f"{whose} opens pipe {pipe}.")]
    fix = "Enrol the host, or give it a receiver key of that pipe."
    return [Verdict("opens", Level.BAD, f"No key that {agent} is known to have opens pipe {pipe}.", fix)]


def _found_there(command: Command | None, *, several: bool) -> list[Verdict]:
    if command is None:
        return [Verdict(about, Level.UNKNOWN, "Only the agent can tell.") for about in ABOUTS]
    if command.state in ENDED_BADLY:
        return _refused(command)
    if command.state != Job.State.DONE:
        return [Verdict(about, Level.BUSY, "The agent looks as soon as its next heartbeat brings the order.") for about in ABOUTS]
    findings = [
        _verdict(finding, several=several) for finding in command.result.get("findings", ()) if finding.get("about") in ABOUTS
    ]
    told = {finding.about for finding in findings}
    wanted = [about for about in ABOUTS if about not in told]
    return [*findings, *(Verdict(about, Level.UNKNOWN, "The agent did not tell.") for about in wanted)]


def _verdict(finding: Mapping[str, Any], *, several: bool) -> Verdict:
    words = str(finding.get("what", ""))
    if not several:  # the name of the one pipe that was tried is no news to who filled in the form
        words = words.partition(": ")[2] or words
    good = finding.get("good") is True
    return Verdict(str(finding["about"]), Level.OK if good else Level.BAD, words, "" if good else str(finding.get("fix", "")))


def _refused(command: Command) -> list[Verdict]:
    why = command.error or "The agent did not answer in time."
    refused = Verdict("path", Level.BAD, f"The agent would not take it: {why}", "Correct it, or update the agent.")
    return [refused, *(Verdict(about, Level.UNKNOWN, "Not looked at.") for about in ABOUTS if about != "path")]
