"""What the pages call the kinds of objects, and what each needs before one can be made."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.pipes.config.document import Document
from apps.pipes.config.places import AGENT_PIPES, known


@dataclass(frozen=True)
class Kind:
    """One kind of objects: its words, picture and menu entry.

    `off`: what happens when one is switched off. `needs`: field → kind that must be there first.
    """

    key: str
    one: str | Promise
    many: str | Promise
    about: str | Promise
    off: str | Promise
    picture: str
    menu: str
    needs: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class NextStep:
    """What is usually made once an object is there: the kind, and the field that chooses the object in its form."""

    kind: Kind
    field: str


@dataclass(frozen=True)
class Missing:
    """A kind of which there is no object yet, and the field that waits for one."""

    field: str
    kind: Kind


PIPE_OFF = _("Nothing is taken in any more and the sessions end. Agents keep what they see and send it once it is on again.")
AGENT_OFF = _("The agents concerned stop what uses it as soon as they take the new configuration. Everything else goes on.")

KINDS = {
    kind.key: kind
    for kind in (
        Kind(
            "receivers",
            _("receiver"),
            _("Receivers"),
            _("Takes events in and owns the keys of agents."),
            PIPE_OFF,
            "inbox",
            "/receivers/",
        ),
        Kind(
            "views",
            _("view"),
            _("Views"),
            _("The arbitrated picture that people and programs ask."),
            _("It takes nothing new and answers nobody. What it knows stays."),
            "stack-2",
            "/views/",
        ),
        Kind(
            "pipes",
            _("pipe"),
            _("Pipes"),
            _("Leads what a receiver takes in to one or more views."),
            PIPE_OFF,
            "arrows-split-2",
            "/pipes/",
            (("receiver", "receivers"), ("views", "views")),
        ),
        Kind("sources", _("source"), _("Sources"), _("What an agent reads: a directory tree."), AGENT_OFF, "folder", "/sources/"),
        Kind("senders", _("sender"), _("Senders"), _("How an agent carries events out."), AGENT_OFF, "antenna", "/senders/"),
        Kind("agents", _("agent"), _("Agents"), _("A host that watches and scans storage."), AGENT_OFF, "server-2", "/agents/"),
        Kind(
            AGENT_PIPES,
            _("agent pipe"),
            _("Agent pipes"),
            _("A source and a sender, running on one agent."),
            AGENT_OFF,
            "route",
            "/agent-pipes/",
            (("agent", "agents"), ("source", "sources"), ("sender", "senders")),
        ),
    )
}


# kind → what comes next for one that nothing refers to yet
NEXT = {
    "receivers": NextStep(KINDS["pipes"], "receiver"),
    "views": NextStep(KINDS["pipes"], "views"),
    "pipes": NextStep(KINDS[AGENT_PIPES], "pipe"),
    "sources": NextStep(KINDS[AGENT_PIPES], "source"),
    "senders": NextStep(KINDS[AGENT_PIPES], "sender"),
    "agents": NextStep(KINDS[AGENT_PIPES], "agent"),
}
# what an agent can look at before it is saved
TRIABLE = frozenset({"sources", "senders", AGENT_PIPES})


def missing(kind: Kind, *documents: Document) -> list[Missing]:
    """What must be made before an object of this kind can be: what none of the documents (the present one, a draft) has."""
    lacking = ((field, needed) for field, needed in kind.needs if not any(known(document, needed) for document in documents))
    return [Missing(field, KINDS[needed]) for field, needed in lacking]
