"""Refused attempts on the data path (`/api/v1/pipe`, `/api/v1/views`), for the audit log. Called by fustor_site.middleware.

Of one key, or of one address that brings no known key, at most one entry per part of the API and reason is written in
WINDOW_SECONDS, by each web process; how many attempts came since then is said by the next entry, or written when anybody is refused
after that time. Requests that are let in never come here.
"""

from dataclasses import dataclass, field, replace
from threading import Lock

from django.http import HttpRequest

from apps.pipes import audit
from apps.pipes.addresses import client_address
from apps.pipes.audit import Actor
from apps.pipes.auth import given_key
from apps.pipes.hashing import readable_start
from apps.pipes.models import AuditEntry
from apps.runtime import clock
from apps.runtime.problems import Problem

PARTS = ("/api/v1/pipe", "/api/v1/views")
# refusals of whoever asks; others (a pipe that is switched off, a confirmation that is due) tell of the state of things
CODES = frozenset({"unauthorized", "forbidden", "wrong_key_kind"})
VERB = "api.access"
WINDOW_SECONDS = 60.0
MOST_SUBJECTS = 100
LONGEST_REASON = 300


@dataclass(frozen=True)
class Attempt:
    """One refused request. `subject` is what repetitions have in common; `repeated` counts those since the entry before."""

    actor: Actor
    part: str
    reason: str
    subject: tuple[str, str, str]
    repeated: int = 0


@dataclass
class _Seen:
    attempt: Attempt
    written_at: float
    repeated: int = 0


@dataclass
class Denials:
    """What this process wrote lately. Safe in several threads."""

    seen: dict[tuple[str, str, str], _Seen] = field(default_factory=dict)
    lock: Lock = field(default_factory=Lock)

    def note(self, attempt: Attempt) -> list[Attempt]:
        """What has to be written now: the attempt, unless it is only counted, and others that were only counted for long enough.

        Memory only. Over MOST_SUBJECTS at a time the rest share one entry, so that many addresses cannot fill the log either.
        """
        now = clock.now()
        with self.lock:
            counted = self._take_counted(now)
            if attempt.subject not in self.seen and len(self.seen) >= MOST_SUBJECTS:
                attempt = _of_everybody(attempt)
            seen = self.seen.get(attempt.subject)
            if seen is not None:
                seen.repeated += 1
                return [*counted.values()]
            self.seen[attempt.subject] = _Seen(attempt, now)
        before = counted.pop(attempt.subject, None)
        return [replace(attempt, repeated=before.repeated) if before else attempt, *counted.values()]

    def forget(self) -> None:
        """Forget everything that this process noted."""
        self.seen.clear()

    def _take_counted(self, now: float) -> dict[tuple[str, str, str], Attempt]:
        """Forget what was written long enough ago; what came since then and was only counted."""
        over = [seen for seen in self.seen.values() if now - seen.written_at >= WINDOW_SECONDS]
        for seen in over:
            del self.seen[seen.attempt.subject]
        return {seen.attempt.subject: replace(seen.attempt, repeated=seen.repeated) for seen in over if seen.repeated}


def _of_everybody(attempt: Attempt) -> Attempt:
    everybody = Actor("many others", attempt.actor.address, attempt.actor.request_id)
    return Attempt(everybody, attempt.part, attempt.reason, ("", "", ""))


def attempt_of(request: HttpRequest, problem: Problem) -> Attempt | None:
    """The refusal of a request as the audit log tells it; None when it is none of the data path or not about who asks."""
    part = next((part for part in PARTS if request.path_info.startswith(f"{part}/")), None)
    if part is None or problem.code not in CODES:
        return None
    address = client_address(request)
    known = problem.who or getattr(getattr(request, "auth", None), "name", "")
    actor = Actor(known or _stranger(request), address, getattr(request, "request_id", ""))
    reason = problem.cause or problem.detail
    return Attempt(actor, part, _plain(reason), (known or address, part, problem.cause or problem.code))


def write(attempt: Attempt) -> AuditEntry:
    """Append the entry of an attempt that `Denials.note` gave back."""
    more = f" ({attempt.repeated} more since the entry before)" if attempt.repeated else ""
    return audit.record_denied(attempt.actor, VERB, attempt.part, attempt.reason + more)


def _stranger(request: HttpRequest) -> str:
    secret = given_key(request)
    if secret is None:
        return "nobody"
    return f"unknown key {readable_start(secret)}".rstrip()


def _plain(reason: str) -> str:
    """Reasons quote what the client sent: what no database takes is replaced, the rest cut."""
    return "".join(char if char.isprintable() else "�" for char in reason[:LONGEST_REASON])


denials = Denials()
