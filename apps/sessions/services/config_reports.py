"""Configuration that agents report (`config_report`): secrets struck out, then kept, the last one per file."""

import re
from typing import Any

from apps.runtime.clock import now_datetime
from apps.runtime.problems import Invalid, TooLarge
from apps.sessions.models import ConfigReport, Session
from apps.sessions.services import commands

MAX_BYTES = 1 << 20
# old agents send their credentials in clear; whatever follows such a key never reaches the database
_NAME = r"""["']?[\w.-]*(?:key|token|secret|password|passwd|credential)s?["']?[ \t]*:"""
_SECRET = re.compile(rf"(?im)^(?P<key>[ \t]*(?:-[ \t]+)?{_NAME})[ \t]*(?P<value>[^\s#][^\n]*)$")
_INLINE = re.compile(rf"""(?i)(?P<key>[{{,\[][ \t]*{_NAME})[ \t]*(?P<value>"[^"]*"|'[^']*'|[^,}}\]\n]+)""")
REDACTED = ' "(not shown)"'


def redacted(config_yaml: str) -> str:
    """The text with the value of every key that names a secret struck out."""
    without_inline = _INLINE.sub(lambda match: match["key"] + REDACTED, config_yaml)
    return _SECRET.sub(_struck_out, without_inline)


def _struck_out(match: re.Match[str]) -> str:
    # a mapping or list that was written inline has been searched already
    return match[0] if match["value"].lstrip()[:1] in "{[" else match["key"] + REDACTED


def store(session: Session, metadata: dict[str, Any]) -> None:
    """Keep the report of `metadata.filename` and `metadata.config_yaml`. Raises Invalid and TooLarge."""
    filename, text = metadata.get("filename"), metadata.get("config_yaml")
    if not isinstance(text, str):
        raise Invalid("metadata.config_yaml: must be text", field="metadata.config_yaml")
    if filename is not None and not isinstance(filename, str):
        raise Invalid("metadata.filename: must be text", field="metadata.filename")
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise TooLarge(f"metadata.config_yaml has more than {MAX_BYTES:,} bytes.", extra={"limit_bytes": MAX_BYTES})
    ConfigReport.objects.update_or_create(
        pipe=session.pipe,
        agent_name=session.agent_name,
        filename=(filename or "default")[:255],
        defaults={"config_yaml": redacted(text).replace("\0", ""), "at": now_datetime()},
    )
    commands.answered(session, "report_config")
