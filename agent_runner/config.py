"""What an agent runs: its pipes, each Source → Sender. From the command line, a YAML file, the server, or the last good copy."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from agent_runner import log
from agent_runner.home import Home, slug
from agent_runner.problems import ConfigProblem


class SourceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reads changes from storage. `settings` belong to the driver. Equal sources are shared by several pipes."""

    uri: str
    driver: str = "fs"
    settings: dict[str, Any] = {}


class SenderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Carries events out. `key` is the receiver's or agent's key; it is kept out of every report."""

    uri: str = ""
    driver: str = "http"
    key: str = ""
    settings: dict[str, Any] = {}


class FieldMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One field of the projection: `to` gets the first of `source` (`field` or `field:type`) or `hardcoded_value`."""

    to: str
    source: list[str] = []
    hardcoded_value: Any = None


class PipeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One AgentPipe. `id` is unique on this agent."""

    id: str
    source: SourceConfig
    sender: SenderConfig
    fields_mapping: list[FieldMapping] = []
    disabled: bool = False
    spool_bytes: int = 256 * 1024 * 1024
    session_timeout_seconds: int | None = None
    server_pipe: str = ""


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything this host runs. `revision` is the server's name of this state, empty for a local one."""

    agent_id: str
    pipes: list[PipeConfig] = []
    revision: str = ""
    broker_url: str = ""


class Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a sender's key is: in the file itself, in an environment variable, in a file, or with the server (`key_ref`: then
    this agent's own key is used)."""

    key: str = ""
    env: str = ""
    file: str = ""
    key_ref: str = ""


class _Pipe(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    sender: str
    fields_mapping: list[FieldMapping] = []
    disabled: bool = False
    session_timeout_seconds: int | None = None
    spool_bytes: int = 256 * 1024 * 1024
    server_pipe: str | None = None
    name: str = ""


class _Source(msgspec.Struct, forbid_unknown_fields=True):
    uri: str
    driver: str = "fs"
    driver_params: dict[str, Any] = {}
    disabled: bool = False
    name: str = ""


class _Sender(msgspec.Struct, forbid_unknown_fields=True):
    uri: str = ""
    driver: str = "http"
    credential: Credential = Credential()
    driver_params: dict[str, Any] = {}
    disabled: bool = False
    name: str = ""


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    agent_id: str = ""
    broker_url: str = ""
    sources: dict[str, _Source] = {}
    senders: dict[str, _Sender] = {}
    pipes: dict[str, _Pipe] = {}


@dataclass(frozen=True)
class Own:
    """What this host has of its own: its id, and the server and key for senders that name none."""

    agent_id: str
    server: str = ""
    key: str = ""


# fields of agents of protocol 2: the server decides these now
OLD_PIPE_FIELDS = frozenset(
    {"audit_interval_sec", "sentinel_interval_sec", "heartbeat_interval_sec", "max_consecutive_errors", "batch_size"}
    | {"error_retry_interval", "max_retry_delay", "backoff_multiplier", "stats_interval"}
)
_log = log.get("config")


def for_watch(agent_id: str, server: str, key: str, directories: list[str], pipe_id: str = "") -> AgentConfig:
    """The configuration that `run --server --key --watch` stands for: one pipe per directory."""
    sender = SenderConfig(uri=server, key=key)
    pipes = [
        PipeConfig(id=_pipe_id(pipe_id, directory, len(directories)), source=SourceConfig(uri=directory), sender=sender)
        for directory in directories
    ]
    return AgentConfig(agent_id=agent_id, pipes=pipes)


def _pipe_id(wanted: str, directory: str, directories: int) -> str:
    name = slug(Path(directory).resolve().as_posix().strip("/")) or "root"
    if not wanted:
        return name
    return wanted if directories == 1 else f"{wanted}-{name}"


def from_yaml(text: str, own: Own, where: str = "the configuration") -> AgentConfig:
    """The configuration in a YAML text. Raises ConfigProblem naming the field."""
    return from_document(_loaded(text, where), own, where)


def from_own_file(path: Path, own: Own) -> tuple[AgentConfig, list[str]]:
    """The configuration in a file of this host, and its `upgrade_command`, which no other document may have: what a server may
    start here is for the host to say. Raises ConfigProblem naming the field."""
    try:
        document = _loaded(path.read_text(), str(path))
    except OSError as error:
        raise ConfigProblem(f"{path}: {error.strerror}", "Give a file that this user can read.") from error
    words = document.pop("upgrade_command", []) if isinstance(document, dict) else []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ConfigProblem(f"{path}: upgrade_command must be a list of texts", 'For example ["/usr/local/bin/upgrade-fustor"].')
    return from_document(document, own, str(path)), words


def _loaded(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigProblem(f"{where} is no YAML: {error}", "Correct the file and start again.") from error


def from_document(document: Any, own: Own, where: str, revision: str = "") -> AgentConfig:
    """The configuration in a document of `sources`, `senders` and `pipes`, as a file or the server has it. Raises ConfigProblem."""
    try:
        parsed = msgspec.convert(_without_old_fields(document), _Document)
    except msgspec.ValidationError as error:
        raise ConfigProblem(f"{where}: {error}", "Correct the field named and try again.") from error
    pipes = [_pipe(pipe_id, pipe, parsed, own, where) for pipe_id, pipe in parsed.pipes.items()]
    return AgentConfig(agent_id=parsed.agent_id or own.agent_id, pipes=pipes, revision=revision, broker_url=parsed.broker_url)


def _without_old_fields(document: Any) -> Any:
    """The document without what agents of protocol 2 had in their pipes; each is named in the log."""
    if not isinstance(document, dict) or not isinstance(document.get("pipes"), dict):
        return document
    pipes: dict[str, Any] = {}
    for pipe_id, pipe in document["pipes"].items():
        old = sorted(OLD_PIPE_FIELDS & set(pipe)) if isinstance(pipe, dict) else []
        if old:
            _log.info("fields that the server decides now are ignored", pipe=pipe_id, fields=old)
        pipes[pipe_id] = {name: value for name, value in pipe.items() if name not in old} if old else pipe
    return {**document, "pipes": pipes}


def _pipe(pipe_id: str, pipe: _Pipe, document: _Document, own: Own, where: str) -> PipeConfig:
    source, sender = document.sources.get(pipe.source), document.senders.get(pipe.sender)
    if source is None or sender is None:
        missing = f"source {pipe.source!r}" if source is None else f"sender {pipe.sender!r}"
        raise ConfigProblem(f"{where}: pipes.{pipe_id} names {missing}, which is not there", "Add it, or correct the name.")
    return PipeConfig(
        id=pipe_id,
        source=SourceConfig(uri=source.uri, driver=source.driver, settings=source.driver_params),
        sender=SenderConfig(
            uri=sender.uri or own.server,
            driver=sender.driver,
            key=_key(sender.credential, own, f"{where}: senders.{pipe.sender}"),
            settings=sender.driver_params,
        ),
        fields_mapping=pipe.fields_mapping,
        disabled=pipe.disabled or source.disabled or sender.disabled,
        session_timeout_seconds=pipe.session_timeout_seconds,
        spool_bytes=pipe.spool_bytes,
        server_pipe=pipe.server_pipe or "",
    )


def _key(credential: Credential, own: Own, where: str) -> str:
    if credential.key:
        return credential.key
    if credential.env:
        if credential.env not in os.environ:
            raise ConfigProblem(f"{where}: variable {credential.env} is not set", "Set it where the agent is started.")
        return os.environ[credential.env]
    if credential.file:
        try:
            return Path(credential.file).read_text().strip()
        except OSError as error:
            raise ConfigProblem(f"{where}: {credential.file}: {error.strerror}", "Put the key into that file.") from error
    return own.key


def to_yaml(config: AgentConfig) -> str:
    """The configuration as YAML that `from_yaml` reads, without any key."""
    document: dict[str, Any] = {"agent_id": config.agent_id, "sources": {}, "senders": {}, "pipes": {}}
    for pipe in config.pipes:
        document["sources"][pipe.id] = _without_empty(
            {"driver": pipe.source.driver, "uri": pipe.source.uri, "driver_params": pipe.source.settings}
        )
        document["senders"][pipe.id] = _without_empty(
            {"driver": pipe.sender.driver, "uri": pipe.sender.uri, "driver_params": pipe.sender.settings}
        )
        mapping = msgspec.to_builtins(pipe.fields_mapping)
        document["pipes"][pipe.id] = _without_empty(
            {
                "source": pipe.id,
                "sender": pipe.id,
                "server_pipe": pipe.server_pipe,
                "disabled": pipe.disabled,
                "fields_mapping": mapping,
            }
        )
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in ({}, [], "", False)}


def load_last_good(home: Home) -> AgentConfig | None:
    """The configuration that worked last, or None when there is none. Raises ConfigProblem when the file is broken."""
    try:
        return msgspec.json.decode(home.last_config.read_bytes(), type=AgentConfig)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ConfigProblem(f"{home.last_config}: {error}", "Delete the file; the server sends the configuration again.") from error
