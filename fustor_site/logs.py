"""Logging of the server's processes: one event per line, for people (console) or for programs (json). Called by settings.

`FUSTOR_LOG_FORMAT` = console | json, `FUSTOR_LOG_LEVEL` = DEBUG … CRITICAL. Lines carry what is bound with
`structlog.contextvars` (the request id, for one), whether they were written through structlog or through `logging`.
"""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import Processor

SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
# what they say at INFO is no news to whoever runs the server
TALKATIVE = ("axes", "daphne", "django.channels.server", "celery.beat", "celery.worker.strategy", "celery.app.trace", "httpx")


class Failures(logging.Filter):
    """Of Django's request log only what went wrong here: a refusal (4xx) or a "not now" (503) is an ordinary answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        status = getattr(record, "status_code", 500)
        return status >= 500 and status not in {503, 507}


def configure_structlog() -> None:
    """Let structlog hand its events to `logging`, so both go through one handler."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logging_config(style: str, level: str) -> dict[str, Any]:
    """Django's LOGGING. Raises ValueError for a style that is not known."""
    formatter = {"()": structlog.stdlib.ProcessorFormatter, "processors": _rendering(style), "foreign_pre_chain": SHARED}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"event": formatter},
        "filters": {"failures": {"()": Failures}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "event"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            **{name: {"level": "WARNING"} for name in TALKATIVE},
            "django.request": {"filters": ["failures"]},
        },
    }


def _rendering(style: str) -> list[Processor]:
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if style == "json":
        return [strip, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    if style == "console":
        # tracebacks as Python writes them: drawing one prettily takes most of a second, and the event loop waits
        plain = structlog.dev.plain_traceback
        return [strip, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    raise ValueError(f"FUSTOR_LOG_FORMAT is {style!r}; it must be console or json")
