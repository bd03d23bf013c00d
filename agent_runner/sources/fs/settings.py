"""The settings of source driver `fs`, typed and checked when the configuration is read."""

from typing import Annotated, Any

import msgspec

from agent_runner.problems import ConfigProblem

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class FsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one directory tree is watched and scanned. Times in seconds.

    `include`/`exclude`: shell patterns; one with a `/` is matched on the path within the root, others on the name. A directory
    that is excluded is not entered. `include` chooses among files only. `scan_rate`: entries a second of one scan, 0 = no limit.
    `watch_limit`: directories watched at most, 0 = what the kernel allows. `deep_cycles`: every file is looked at once in so many
    audits (R18). `racy_seconds`: a directory changed less than this before its listing is listed again next time, silent or not.
    `root_marker`: `auto` uses the marker file when it is there; `require` calls the storage lost without it (R20).
    """

    include: list[str] = []
    exclude: list[str] = []
    cross_file_systems: bool = False
    scan_processes: Count = 2
    scan_rate: NotNegative = 0
    scan_nice: Annotated[int, msgspec.Meta(ge=0, le=19)] = 5
    directory_timeout: Positive = 60
    watch_limit: Annotated[int, msgspec.Meta(ge=0)] = 0
    partial_interval: Positive = 1.0
    deep_cycles: Count = 12
    racy_seconds: NotNegative = 60
    root_marker: str = "auto"


def parse(settings: dict[str, Any]) -> FsSettings:
    """Typed settings. Raises ConfigProblem naming the field."""
    try:
        parsed = msgspec.convert(settings, FsSettings)
    except msgspec.ValidationError as error:
        raise ConfigProblem(f"source driver fs: {error}", "Correct driver_params of the source.") from error
    if parsed.root_marker not in ("auto", "require"):
        raise ConfigProblem("source driver fs: root_marker must be auto or require", "Correct driver_params of the source.")
    return parsed
