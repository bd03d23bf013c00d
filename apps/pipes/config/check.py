"""Whether a document makes sense as a whole: drivers known, their settings right, everything that is referred to there. Pure."""

from collections.abc import Iterator, Mapping

from apps.pipes.config.document import Document, ReceiverDoc, SenderDoc, SourceDoc, ViewDoc
from apps.pipes.config.faults import Fault
from apps.pipes.drivers import receiver_drivers, sender_drivers, source_drivers, view_drivers
from apps.runtime.drivers import Driver
from apps.runtime.server_settings import ServerSettings
from apps.runtime.shape import misfits
from fustor_schema.settings import AgentPipeSettings

SHORTEST_AUDIT_DAYS = 30


def faults_of(document: Document) -> list[Fault]:
    """Every fault of a document, in the order of its objects."""
    return [
        *_driver_faults("receivers", document.receivers, receiver_drivers()),
        *_driver_faults("views", document.views, view_drivers()),
        *_agent_driver_faults("sources", document.sources, source_drivers()),
        *_agent_driver_faults("senders", document.senders, sender_drivers()),
        *_key_faults(document),
        *_pipe_faults(document),
        *_agent_faults(document),
        *_settings_faults(document.settings or ServerSettings()),
    ]


def _driver_faults(kind: str, objects: Mapping[str, ReceiverDoc | ViewDoc], drivers: dict[str, Driver]) -> Iterator[Fault]:
    for ident, entry in objects.items():
        driver = drivers.get(entry.driver)
        if driver is None:
            fix = f"Choose from {', '.join(sorted(drivers))}."
            yield Fault(f"{kind}.{ident}.driver", f"There is no driver {entry.driver!r}.", fix)
            continue
        yield from _setting_faults(f"{kind}.{ident}.driver_params", driver, driver.misfits(entry.driver_params))


def _agent_driver_faults(kind: str, objects: Mapping[str, SourceDoc | SenderDoc], drivers: dict[str, Driver]) -> Iterator[Fault]:
    """Drivers and settings that only the agent knows are its own to check."""
    for ident, entry in objects.items():
        driver = drivers.get(entry.driver)
        if driver is not None:
            wrong = driver.misfits(entry.driver_params, strangers=True)
            yield from _setting_faults(f"{kind}.{ident}.driver_params", driver, wrong)


def _setting_faults(where: str, driver: Driver, wrong: list[tuple[str, str]]) -> Iterator[Fault]:
    fix = f"Settings of driver {driver.name!r}: {', '.join(driver.settings.__struct_fields__)}."
    for place, reason in wrong:
        yield Fault(f"{where}.{place}", reason, fix)


def _key_faults(document: Document) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    for ident, receiver in document.receivers.items():
        for number, entry in enumerate(receiver.api_keys or ()):
            where = f"receivers.{ident}.api_keys[{number}]"
            pipe = document.pipes.get(entry.pipe_id)
            if not entry.ref:
                yield Fault(where, "A key needs `key` or `ref`.")
            elif owners.setdefault(entry.ref, ident) != ident:
                yield Fault(where, f"Receiver {owners[entry.ref]!r} has the same key.", "Give each receiver its own keys.")
            if pipe is None:
                yield Fault(f"{where}.pipe_id", f"There is no pipe {entry.pipe_id!r}.", "Add the pipe, or leave out the key.")
            elif pipe.receiver != ident:
                yield Fault(f"{where}.pipe_id", f"Pipe {entry.pipe_id!r} belongs to receiver {pipe.receiver!r}.")
    for ident, view in document.views.items():
        for number, entry in enumerate(view.api_keys or ()):
            if not entry.ref:
                yield Fault(f"views.{ident}.api_keys[{number}]", "A key needs `key` or `ref`.")


def _pipe_faults(document: Document) -> Iterator[Fault]:
    for ident, pipe in document.pipes.items():
        if pipe.receiver not in document.receivers:
            yield Fault(f"pipes.{ident}.receiver", f"There is no receiver {pipe.receiver!r}.", _known(document.receivers))
        if not pipe.views:
            yield Fault(f"pipes.{ident}.views", "A pipe feeds at least one view.", _known(document.views))
        for view in pipe.views:
            if view not in document.views:
                yield Fault(f"pipes.{ident}.views", f"There is no view {view!r}.", _known(document.views))
        if len(set(pipe.views)) != len(pipe.views):
            yield Fault(f"pipes.{ident}.views", "A view is listed twice.")


def _agent_faults(document: Document) -> Iterator[Fault]:
    for agent_id, agent in document.agents.items():
        for ident, pipe in agent.pipes.items():
            where = f"agents.{agent_id}.pipes.{ident}"
            if pipe.source not in document.sources:
                yield Fault(f"{where}.source", f"There is no source {pipe.source!r}.", _known(document.sources))
            if pipe.sender not in document.senders:
                yield Fault(f"{where}.sender", f"There is no sender {pipe.sender!r}.", _known(document.senders))
            if pipe.pipe and pipe.pipe not in document.pipes:
                yield Fault(f"{where}.pipe", f"There is no pipe {pipe.pipe!r}.", _known(document.pipes))
            for place, reason in misfits(pipe.settings, AgentPipeSettings, strangers=True):
                yield Fault(f"{where}.settings.{place}", reason)


def _settings_faults(settings: ServerSettings) -> Iterator[Fault]:
    least, most, kept = settings.session_timeout_least, settings.session_timeout_most, settings.audit_log_days
    if least is not None and most is not None and least > most:
        yield Fault("settings.session_timeout_least", f"It is longer than the longest, {most} s.", "Make it shorter.")
    if kept is not None and 0 < kept < SHORTEST_AUDIT_DAYS:
        fix = f"Write 0 for ever, or {SHORTEST_AUDIT_DAYS} and more."
        yield Fault("settings.audit_log_days", f"The audit log is kept for {SHORTEST_AUDIT_DAYS} days at least.", fix)


def _known(objects: Mapping[str, object]) -> str:
    return f"Known: {', '.join(sorted(objects))}." if objects else "There is none yet: add one first."
