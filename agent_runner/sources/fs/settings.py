"""The settings of source driver `fs`, typed and checked when the configuration is read."""

from typing import Any

import msgspec

from agent_runner.problems import ConfigProblem
from fustor_schema.settings import FsSettings


def parse(settings: dict[str, Any]) -> FsSettings:
    """Typed settings. Raises ConfigProblem naming the field."""
    try:
        return msgspec.convert(settings, FsSettings)
    except msgspec.ValidationError as error:
        raise ConfigProblem(f"source driver fs: {error}", "Correct driver_params of the source.") from error
