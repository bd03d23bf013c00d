"""Logging of the agent: structlog to stderr, for people (text) or machines (json). Set up once by the command line."""

import logging
import sys

import structlog

FORMATS = ("text", "json")


def setup(log_format: str, level: str = "INFO") -> None:
    """Configures structlog for this process. Control characters in values are escaped by both renderers."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), repr_native_str=True)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one part of the agent; its name is on every line."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=name)
    return logger
