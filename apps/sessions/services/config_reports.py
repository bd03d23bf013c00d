"""Configuration that agents report (`config_report`): secrets struck out, then kept, the last one per file."""

from typing import Any

from apps.runtime.clock import now_datetime
from apps.runtime.problems import Invalid, TooLarge
from apps.sessions.models import ConfigReport, Session
from apps.sessions.redaction import NotYaml, redacted
from apps.sessions.services import commands

MAX_BYTES = 1 << 20


def store(session: Session, metadata: dict[str, Any]) -> None:
    """Keep the report of `metadata.filename` and `metadata.config_yaml`. Raises Invalid and TooLarge."""
    filename, text = metadata.get("filename"), metadata.get("config_yaml")
    if not isinstance(text, str):
        raise Invalid("metadata.config_yaml: must be text", field="metadata.config_yaml")
    if filename is not None and not isinstance(filename, str):
        raise Invalid("metadata.filename: must be text", field="metadata.filename")
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise TooLarge(f"metadata.config_yaml has more than {MAX_BYTES:,} bytes.", extra={"limit_bytes": MAX_BYTES})
    try:
        kept = redacted(text)
    except NotYaml as error:
        raise Invalid(f"metadata.config_yaml: not YAML: {error}", field="metadata.config_yaml") from error
    ConfigReport.objects.update_or_create(
        pipe=session.pipe,
        agent_name=session.agent_name,
        filename=(filename or "default")[:255],
        defaults={"config_yaml": kept, "at": now_datetime()},
    )
    commands.answered(session, "report_config")
