"""What an agent runs: its pipes, each Source → Sender. From the command line, a YAML file, the server, or the last good copy."""

from pathlib import Path
from typing import Any

import msgspec
import yaml

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


class _YamlPipe(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    sender: str
    fields_mapping: list[FieldMapping] = []
    disabled: bool = False
    session_timeout_seconds: int | None = None
    server_pipe: str = ""
    spool_bytes: int = 256 * 1024 * 1024


class _YamlSource(msgspec.Struct, forbid_unknown_fields=True):
    uri: str
    driver: str = "fs"
    driver_params: dict[str, Any] = {}
    disabled: bool = False


class _YamlSender(msgspec.Struct, forbid_unknown_fields=True):
    uri: str = ""
    driver: str = "http"
    credential: dict[str, str] = {}
    driver_params: dict[str, Any] = {}
    disabled: bool = False


class _YamlFile(msgspec.Struct, forbid_unknown_fields=True):
    agent_id: str = ""
    broker_url: str = ""
    sources: dict[str, _YamlSource] = {}
    senders: dict[str, _YamlSender] = {}
    pipes: dict[str, _YamlPipe] = {}


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


def from_yaml(text: str, home: Home, where: str = "the configuration") -> AgentConfig:
    """The configuration in a YAML text. Raises ConfigProblem naming the field."""
    try:
        parsed = msgspec.convert(yaml.safe_load(text) or {}, _YamlFile)
    except yaml.YAMLError as error:
        raise ConfigProblem(f"{where} is no YAML: {error}", "Correct the file and start again.") from error
    except msgspec.ValidationError as error:
        raise ConfigProblem(f"{where}: {error}", "Correct the field named and start again.") from error
    pipes = [_from_yaml_pipe(pipe_id, pipe, parsed, where) for pipe_id, pipe in parsed.pipes.items()]
    return AgentConfig(agent_id=parsed.agent_id or home.agent_id(), pipes=pipes, broker_url=parsed.broker_url)


def _from_yaml_pipe(pipe_id: str, pipe: _YamlPipe, file: _YamlFile, where: str) -> PipeConfig:
    source, sender = file.sources.get(pipe.source), file.senders.get(pipe.sender)
    if source is None or sender is None:
        missing = f"source {pipe.source!r}" if source is None else f"sender {pipe.sender!r}"
        raise ConfigProblem(f"{where}: pipes.{pipe_id} names {missing}, which is not there", "Add it, or correct the name.")
    return PipeConfig(
        id=pipe_id,
        source=SourceConfig(uri=source.uri, driver=source.driver, settings=source.driver_params),
        sender=SenderConfig(
            uri=sender.uri, driver=sender.driver, key=sender.credential.get("key", ""), settings=sender.driver_params
        ),
        fields_mapping=pipe.fields_mapping,
        disabled=pipe.disabled or source.disabled or sender.disabled,
        session_timeout_seconds=pipe.session_timeout_seconds,
        spool_bytes=pipe.spool_bytes,
    )


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
            {"source": pipe.id, "sender": pipe.id, "disabled": pipe.disabled, "fields_mapping": mapping}
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
