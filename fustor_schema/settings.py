"""Settings of the drivers that run on agents: what the agent takes, what the server checks, what forms are made from.

Both sides read these structs, so a form can show, and the server can refuse, what an agent would refuse. In the JSON Schema of a
field `x-unit` (`seconds`, `bytes`) tells what a number counts, `x-advanced` that few people need it, and
`x-when` (`{"field": …, "equals": …}`) that it means something only then.
"""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

SECONDS = {"x-unit": "seconds"}
RARE = {"x-advanced": True}


class FsSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Source driver `fs`: how one directory tree is watched and scanned."""

    include: Annotated[
        list[str],
        Meta(title="Only these files", description="Shell patterns; with a / they match the path below the root, else the name."),
    ] = []
    exclude: Annotated[
        list[str], Meta(title="Leave out", description="Shell patterns. A directory that is left out is not entered.")
    ] = []
    cross_file_systems: Annotated[
        bool, Meta(title="Cross file systems", description="Also enter directories where another file system is mounted.")
    ] = False
    scan_processes: Annotated[
        int, Meta(ge=1, title="Scan processes", description="Processes that list directories at once.", extra_json_schema=RARE)
    ] = 2
    scan_rate: Annotated[
        float,
        Meta(
            ge=0,
            title="Scan rate",
            description="Entries a second that one scan lists at most; 0 is no limit.",
            extra_json_schema=RARE,
        ),
    ] = 0
    scan_nice: Annotated[
        int,
        Meta(ge=0, le=19, title="Scan niceness", description="How far a scan steps back for others.", extra_json_schema=RARE),
    ] = 5
    directory_timeout: Annotated[
        float,
        Meta(
            gt=0,
            title="Directory timeout",
            description="How long one directory may take; then the scan goes on without it.",
            extra_json_schema=SECONDS | RARE,
        ),
    ] = 60
    watch_limit: Annotated[
        int,
        Meta(
            ge=0,
            title="Watched directories at most",
            description="0 takes what the kernel allows. Beyond it the most active are watched.",
            extra_json_schema=RARE,
        ),
    ] = 0
    partial_interval: Annotated[
        float,
        Meta(
            gt=0,
            title="Interval of partial changes",
            description="How often a file that is being written is reported.",
            extra_json_schema=SECONDS | RARE,
        ),
    ] = 1.0
    deep_cycles: Annotated[
        int,
        Meta(
            ge=1,
            title="Audits until every file was looked at",
            description="An audit looks at this share of the quiet directories all the same (R18).",
            extra_json_schema=RARE,
        ),
    ] = 12
    racy_seconds: Annotated[
        float,
        Meta(
            ge=0,
            title="List again when changed within",
            description="A directory that changed less than this before its listing is listed again by the next audit.",
            extra_json_schema=SECONDS | RARE,
        ),
    ] = 60
    root_marker: Annotated[
        Literal["auto", "require"],
        Meta(
            title="Marker file",
            description="require: without .fustor-root in it the storage counts as lost; auto: the file is used when it is there.",
            extra_json_schema=RARE,
        ),
    ] = "auto"


class HttpSenderSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Sender driver `http`."""

    compression: Annotated[Literal["zstd", "gzip", "none"], Meta(title="Compression", description="How batches travel.")] = "zstd"
    verify_tls: Annotated[
        bool,
        Meta(title="Check the certificate", description="Off only for a test server with its own.", extra_json_schema=RARE),
    ] = True


class EchoSenderSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Sender driver `echo`: prints, needs nothing."""


class AgentPipeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """What one agent pipe takes beside source, sender and pipe."""

    session_timeout_seconds: Annotated[
        int | None,
        Meta(
            title="Session timeout",
            description="Asked of the server; empty takes the pipe's own.",
            extra_json_schema=SECONDS | RARE,
        ),
    ] = None
    spool_bytes: Annotated[
        int,
        Meta(
            ge=1,
            title="Spool",
            description="Room on the agent's disk for events while the server is away.",
            extra_json_schema={"x-unit": "bytes"} | RARE,
        ),
    ] = 256 * 1024 * 1024
    fields_mapping: Annotated[
        list[dict[str, Any]],
        Meta(
            title="Mapping of fields",
            description="Fields of events by another name: to, source, hardcoded_value. Empty sends all as they are.",
            extra_json_schema=RARE,
        ),
    ] = []
