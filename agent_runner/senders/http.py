"""Sender driver `http`: the wire protocol over HTTP/1.1, keep-alive. Control calls and batches use connections of their own."""

import gzip
import ssl
from functools import cache, partial
from typing import Any, TypeVar

import httpx
import msgspec
import zstandard

from agent_runner.config import SenderConfig
from agent_runner.drivers import Grant, HeartbeatAnswer, Lease, Packed, PushAnswer, Renewal
from agent_runner.problems import (
    Busy,
    ConfigProblem,
    NotAuthorized,
    Refused,
    SequenceGap,
    SessionObsolete,
    StaleWriter,
    TooLarge,
    Unreachable,
)
from agent_runner.version import VERSION
from fustor_schema.sources import PROTOCOL_V3

CONTROL_SECONDS = 10.0
BATCH_SECONDS = 120.0
COMPRESS_FROM_BYTES = 1_400
ZSTD_LEVEL, GZIP_LEVEL = 3, 1
PLAIN = "none"
COMPRESSIONS = ("zstd", "gzip", PLAIN)
DEFAULT_RETRY_AFTER = 1.0
LONGEST_RETRY_AFTER = 60.0

T = TypeVar("T")


class HttpSender:
    """Speaks to one server with one key. Safe for one event loop; every call raises a SenderProblem when it fails."""

    driver = "http"

    def __init__(self, config: SenderConfig) -> None:
        self.config = config
        headers = {"X-API-Key": config.key, "User-Agent": f"fustor-agent/{VERSION}"}
        base = config.uri.rstrip("/") + "/api/v1/pipe"
        verify = _trust(bool(config.settings.get("verify_tls", True)))
        self._control = httpx.AsyncClient(base_url=base, headers=headers, timeout=CONTROL_SECONDS, verify=verify)
        self._batches = httpx.AsyncClient(base_url=base, headers=headers, timeout=BATCH_SECONDS, verify=verify)
        self._compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self.compression = str(config.settings.get("compression", "zstd"))
        if self.compression not in COMPRESSIONS:
            raise ConfigProblem(
                f"sender driver http: compression {self.compression!r} is unknown", f"Use one of {', '.join(COMPRESSIONS)}."
            )

    async def open_session(self, request: dict[str, Any]) -> Grant:
        """`POST /session/`."""
        grant = await self.call("POST", "/session/", request, Grant)
        if grant.protocol < PROTOCOL_V3:
            self.compression = PLAIN
        return grant

    async def heartbeat(self, session_id: str, report: dict[str, Any]) -> HeartbeatAnswer:
        """`POST /session/{id}/heartbeat`."""
        return await self.call("POST", f"/session/{session_id}/heartbeat", report, HeartbeatAnswer)

    async def close_session(self, session_id: str) -> None:
        """`DELETE /session/{id}`."""
        await self.call("DELETE", f"/session/{session_id}", None, dict)

    def pack(self, body: bytes) -> Packed:
        """Compressed when it pays."""
        if self.compression == PLAIN or len(body) < COMPRESS_FROM_BYTES:
            return Packed(body)
        compress = partial(gzip.compress, compresslevel=GZIP_LEVEL) if self.compression == "gzip" else self._compressor.compress
        return Packed(compress(body), self.compression)

    async def push(self, session_id: str, batch: Packed) -> PushAnswer:
        """`POST /ingest/{id}/events`."""
        headers = {"Content-Type": "application/json"}
        if batch.encoding:
            headers["Content-Encoding"] = batch.encoding
        try:
            answer = await self._batches.post(f"/ingest/{session_id}/events", content=batch.content, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"no answer to a batch: {type(error).__name__} {error}".rstrip()) from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise SessionObsolete("the server does not know this session")
        return _decoded(_checked(answer), PushAnswer)

    async def lease_job(self, job_id: str, session_id: str, worker: str) -> Lease | None:
        """`POST /jobs/{id}/lease`; 409: somebody else's, or finished."""
        body = {"session_id": session_id, "worker": worker} if session_id else {"worker": worker}
        try:
            return await self.call("POST", f"/jobs/{job_id}/lease", body, Lease)
        except StaleWriter:
            return None

    async def report_progress(self, job_id: str, progress: dict[str, Any]) -> Renewal:
        """`POST /jobs/{id}/progress`."""
        return await self.call("POST", f"/jobs/{job_id}/progress", progress, Renewal)

    async def finish_job(self, job_id: str, outcome: dict[str, Any]) -> None:
        """`POST /jobs/{id}/finish`."""
        await self.call("POST", f"/jobs/{job_id}/finish", outcome, dict)

    async def sentinel_tasks(self) -> list[str]:
        """`GET /consistency/sentinel/tasks`."""
        answer = await self.call("GET", "/consistency/sentinel/tasks", None, dict)
        return [str(path) for path in answer.get("paths", [])]

    async def sentinel_feedback(self, updates: list[dict[str, Any]]) -> None:
        """`POST /consistency/sentinel/feedback`."""
        await self.call("POST", "/consistency/sentinel/feedback", {"type": "suspect_update", "updates": updates}, dict)

    async def start_audit(self, request: dict[str, Any]) -> None:
        """`POST /consistency/audit/start`."""
        await self.call("POST", "/consistency/audit/start", request, dict)

    async def whoami(self) -> dict[str, Any]:
        """`GET /session/`: which pipe and views the key is for."""
        return await self.call("GET", "/session/", None, dict)

    async def close(self) -> None:
        """Closes every connection."""
        await self._control.aclose()
        await self._batches.aclose()

    async def call(self, method: str, path: str, body: object, answer_type: type[T]) -> T:
        """Any other control call below /api/v1/pipe. Raises a SenderProblem."""
        content = msgspec.json.encode(body) if body is not None else None
        headers = {"Content-Type": "application/json"} if content else {}
        try:
            answer = await self._control.request(method, path, content=content, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"no answer from {self.config.uri}: {type(error).__name__} {error}".rstrip()) from error
        return _decoded(_checked(answer), answer_type)


@cache
def _trust(verify: bool) -> ssl.SSLContext:
    """Whom to believe. Made once a process: reading the authorities takes longer than a small job."""
    return httpx.create_ssl_context(verify=verify)


def _decoded(answer: httpx.Response, answer_type: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content or b"{}", type=answer_type)
    except msgspec.DecodeError as error:
        raise Refused(
            f"{answer.url.path} answered what no Fustor server answers: {error}", "Check the server's address."
        ) from error


def _checked(answer: httpx.Response) -> httpx.Response:
    """The answer, when it is good. Raises the SenderProblem that its status stands for."""
    status = answer.status_code
    if status < 300:
        return answer
    reason = f"{answer.url.path} answered {status}: {_reason(answer)}"
    if status in (401, 403):
        raise NotAuthorized(reason)
    if status == 409:
        raise _conflict(answer, reason)
    if status == 413:
        raise TooLarge(reason)
    if status == 419:
        raise SessionObsolete(reason)
    if status in (429, 503):
        raise Busy(reason, _retry_after(answer))
    if status >= 500:
        raise Unreachable(reason)
    raise Refused(reason)


def _conflict(answer: httpx.Response, reason: str) -> SequenceGap | StaleWriter:
    expected = _body(answer).get("expected")
    return SequenceGap(reason, expected) if isinstance(expected, int) else StaleWriter(reason)


def _retry_after(answer: httpx.Response) -> float:
    try:
        return min(LONGEST_RETRY_AFTER, max(0.05, float(answer.headers.get("Retry-After", DEFAULT_RETRY_AFTER))))
    except ValueError:
        return DEFAULT_RETRY_AFTER


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _reason(answer: httpx.Response) -> str:
    body = _body(answer)
    return str(body.get("detail") or body.get("message") or answer.text[:200] or answer.reason_phrase)
