"""Errors as people and programs get them: what happened, to which object, what to do. Services raise, edges render."""

from typing import Any


class Problem(Exception):
    """A refused request. Subclasses fix the HTTP status; `code` is stable for programs, `detail` is for people.

    `who` asked and the exact `cause` are for the audit log, where the answer must not tell them.
    """

    status = 400
    code = "bad_request"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        field: str | None = None,
        fix: str | None = None,
        retry_after: float | None = None,
        extra: dict[str, Any] | None = None,
        who: str = "",
        cause: str = "",
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.field, self.fix, self.retry_after = field, fix, retry_after
        self.extra = extra or {}
        self.who, self.cause = who, cause

    def payload(self) -> dict[str, Any]:
        """The JSON body of the answer."""
        body: dict[str, Any] = {"detail": self.detail, "code": self.code}
        if self.field:
            body["field"] = self.field
        if self.fix:
            body["fix"] = self.fix
        return body | self.extra


class BadRequest(Problem):
    """400: the body cannot be read at all."""


class Unauthorized(Problem):
    """401: no key, or one that is unknown, revoked or expired."""

    status, code = 401, "unauthorized"


class Forbidden(Problem):
    """403: known, but not allowed here."""

    status, code = 403, "forbidden"


class NotFound(Problem):
    """404: no such object, or none that the caller may know of."""

    status, code = 404, "not_found"


class Conflict(Problem):
    """409: the request contradicts the present state (stale version, gap in seq, stale writer …)."""

    status, code = 409, "conflict"


class Gone(Problem):
    """410: what the request continues no longer exists (an expired cursor); start again."""

    status, code = 410, "gone"


class TooLarge(Problem):
    """413: over a limit; the answer names the limit."""

    status, code = 413, "too_large"


class Unsupported(Problem):
    """415: content type or encoding that is not spoken here."""

    status, code = 415, "unsupported_media_type"


class SessionObsolete(Problem):
    """419: the session is unknown, expired or superseded (R23); the agent opens a new one."""

    status, code = 419, "session_obsolete"


class Invalid(Problem):
    """422: readable but not valid; `field` names the first faulty place."""

    status, code = 422, "invalid"


class Busy(Problem):
    """429: slow down; nothing was applied; send the same again after `retry_after` seconds."""

    status, code = 429, "busy"


class Unavailable(Problem):
    """503: not now; nothing was applied."""

    status, code = 503, "unavailable"


class OutOfSpace(Problem):
    """507: a capacity limit was reached; nothing was lost, nothing more is taken (R54)."""

    status, code = 507, "capacity_exceeded"
