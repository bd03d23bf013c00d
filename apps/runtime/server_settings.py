"""Settings of the whole server that an admin may change while it runs: how long things are kept, bounds, old paths.

They are a section of the configuration document (apps.pipes.config), which alone writes them; every app reads them here, each time
anew, so a change counts at once in every process. What is not set there is as the environment says.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from django.conf import settings
from msgspec import Meta, Struct

from apps.runtime.models import KeptSettings

MOST_DAYS = 3650


def _days(title: str, description: str, least: int = 1) -> Meta:
    return Meta(ge=least, le=MOST_DAYS, title=f"{title}, days", description=description)


def _seconds(title: str, description: str, most: int) -> Meta:
    return Meta(ge=1, le=most, title=title, description=description, extra_json_schema={"x-unit": "seconds"})


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The section `settings` of the document. None: not set here."""

    history_days: (
        Annotated[
            int, _days("History of sessions and jobs", "Ended sessions and jobs, commands, failovers: days that they are kept.")
        ]
        | None
    ) = None
    feed_days: Annotated[int, _days("Change feed", "Days that a reader of a view may be away and still go on.")] | None = None
    evidence_days: (
        Annotated[int, _days("Evidence of views", "Closed gaps and blind spots, ended audits: days that they are kept.")] | None
    ) = None
    audit_log_days: (
        Annotated[int, _days("Audit log", "Days that entries are kept: 0 is for ever, otherwise 30 at least.", least=0)] | None
    ) = None
    session_timeout_least: (
        Annotated[int, _seconds("Shortest session timeout", "A pipe or agent that wants a shorter one gets this.", 3600)] | None
    ) = None
    session_timeout_most: (
        Annotated[int, _seconds("Longest session timeout", "A pipe or agent that wants a longer one gets this.", 86_400)] | None
    ) = None
    command_seconds: (
        Annotated[int, _seconds("Life of a command", "An order to an agent that is not taken by then has failed.", 86_400)] | None
    ) = None
    auth_failures_per_minute: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=1_000_000,
                title="Failed authentications",
                description="Per address and per key in a minute; beyond it they are refused unheard.",
            ),
        ]
        | None
    ) = None
    legacy_paths: (
        Annotated[
            bool,
            Meta(title="Old paths", description="Whether /api/v1/ingest/… still answers; see who calls it on the System page."),
        ]
        | None
    ) = None


# what counts when the document does not say
OTHERWISE: dict[str, Callable[[], Any]] = {
    "history_days": lambda: settings.FUSTOR_HISTORY_DAYS,
    "feed_days": lambda: 7,
    "evidence_days": lambda: 30,
    "audit_log_days": lambda: settings.FUSTOR_AUDIT_DAYS,
    "session_timeout_least": lambda: settings.FUSTOR_SESSION_TIMEOUT_MIN,
    "session_timeout_most": lambda: settings.FUSTOR_SESSION_TIMEOUT_MAX,
    "command_seconds": lambda: 600,
    "auth_failures_per_minute": lambda: settings.FUSTOR_AUTH_FAILURES_PER_MINUTE,
    "legacy_paths": lambda: settings.FUSTOR_LEGACY_PATHS,
}


def stored() -> ServerSettings:
    """What the configuration says; one look at the database."""
    row = KeptSettings.objects.filter(pk=KeptSettings.ONLY).first()
    return msgspec.convert(row.values, ServerSettings) if row else ServerSettings()


def store(wanted: ServerSettings) -> None:
    """Keep what the configuration says. Called by the configuration service only."""
    KeptSettings.objects.update_or_create(pk=KeptSettings.ONLY, defaults={"values": msgspec.to_builtins(wanted)})


def number(name: str) -> int:
    """The value in force of a setting that is a number."""
    return int(_in_force(name))


def switched_on(name: str) -> bool:
    """Whether a setting that is a switch is on."""
    return bool(_in_force(name))


def _in_force(name: str) -> Any:
    said = getattr(stored(), name)
    return OTHERWISE[name]() if said is None else said
