"""`manage.py up`: from an empty directory to a running server with a local agent, in one process that stays its supervisor.

Order: take the home → look at port and directory → broker → migrate, admin, enrol → web and worker → agent → announce → supervise.
"""

import http.client
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

import redis
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from apps.runtime.problems import Problem
from fustor_site import store_check
from fustor_site.supervisor import administrator, broker, ports, programs
from fustor_site.supervisor.home import HomeInUse, HomeLock
from fustor_site.supervisor.local_agent import LocalAgent, enrol
from fustor_site.supervisor.output import Output
from fustor_site.supervisor.supervisor import NotComingUp, Program, Stopped, Supervisor

READY_SECONDS = 60
CHECK_SECONDS = 5


class CannotStart(Exception):
    """Nothing was started; the text says why and what to do."""


@dataclass(frozen=True)
class Options:
    """What the command line asked for. `watch` None: the directory of last time, or a sample tree."""

    host: str
    port: int
    watch: Path | None
    agent: bool
    demo: bool = False

    @property
    def url(self) -> str:
        """Where people reach the server. An address that means "all" is shown as this host's name."""
        host = socket.gethostname() if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


def up(options: Options) -> int:
    """Run until a signal. The exit code. Raises CannotStart before anything was started."""
    home: Path = settings.FUSTOR_HOME
    lock = HomeLock(home)
    try:
        lock.take(options.url)
    except HomeInUse as error:
        raise CannotStart(str(error)) from error
    try:
        _check(options)
        return _supervise(options, home)
    finally:
        lock.release()


def _check(options: Options) -> None:
    if trouble := ports.trouble(options.host, options.port):
        raise CannotStart(trouble)
    if options.agent and options.watch and not options.watch.is_dir():
        raise CannotStart(f"{options.watch} is not a directory that this user can see. Give another: make run WATCH=dir")


def _check_store(output: Output) -> None:
    """A damaged database is said before anything runs on it, not by strange answers later. Raises CannotStart."""
    if not settings.IS_SQLITE:
        return
    path = Path(settings.DATABASES["default"]["NAME"])
    finding = store_check.check(path, CHECK_SECONDS)
    if finding.damage:
        lines = "\n  ".join(finding.damage)
        raise CannotStart(
            f"{path} is damaged:\n  {lines}\n"
            "Put back a backup, or run `manage.py rebuild_store`: it keeps configuration, keys, users and the audit log, "
            "and the agents send the trees again."
        )
    if not finding.complete:
        output.say(
            f"looked {CHECK_SECONDS} s at {path.name} and found nothing wrong so far; manage.py check_store looks at all of it"
        )


def _supervise(options: Options, home: Path) -> int:
    output = Output(sys.stdout)
    _check_store(output)
    supervisor = Supervisor(output)
    try:
        _start(supervisor, options, home)
        supervisor.run()
    except Stopped:
        pass
    except NotComingUp as error:
        output.say(f"Giving up: {error}")
        return 1
    finally:
        output.say("stopping …")
        supervisor.stop()
        output.say("stopped; nothing is left running")
    return 0


def _start(supervisor: Supervisor, options: Options, home: Path) -> None:
    environment = _environment(options, home)
    if not os.environ.get("FUSTOR_REDIS_URL"):
        supervisor.start(Program("redis", broker.command(settings.FUSTOR_REDIS_URL, home), environment, last=True))
    supervisor.wait_for(_broker_answers, 15, f"Redis on {settings.FUSTOR_REDIS_URL}")
    supervisor.output.say("preparing the database …")
    call_command("migrate", interactive=False, verbosity=0)
    agent = _enrol(options, home) if options.agent else None
    connections.close_all()
    supervisor.start(Program("web", programs.web(options.host, options.port), environment))
    supervisor.start(Program("worker", programs.worker(), environment))
    supervisor.wait_for(lambda: _is_ready(options), READY_SECONDS, f"the server on {options.url}")
    if agent:
        supervisor.start(Program("agent", agent.command(_loopback_url(options)), environment | agent.environment()))
    if options.demo:
        supervisor.start(Program("demo", programs.management("demo", "--url", _loopback_url(options)), environment))
    # not before everything else went well: the password is shown once, and must not get lost with a failed start
    try:
        password = administrator.ensure(os.environ.get("FUSTOR_ADMIN_PASSWORD") or None)
    except Problem as problem:
        raise NotComingUp(f"FUSTOR_ADMIN_PASSWORD: {problem.detail} {problem.fix or ''}".strip()) from problem
    connections.close_all()
    supervisor.output.plain(_announcement(options, agent, password))


def _enrol(options: Options, home: Path) -> LocalAgent:
    try:
        return enrol(home, options.watch, _loopback_url(options))
    except FileNotFoundError as error:
        raise NotComingUp(f"{error.args[0]} was watched last time and is gone. Name another: make run WATCH=dir") from error


def _environment(options: Options, home: Path) -> dict[str, str]:
    """What every program runs with: the same home and broker as this process, and the names the server is reached by."""
    names = [*settings.ALLOWED_HOSTS, options.host, socket.gethostname(), socket.getfqdn()]
    return os.environ | {
        "FUSTOR_HOME": str(home),
        "FUSTOR_REDIS_URL": settings.FUSTOR_REDIS_URL,
        "FUSTOR_ALLOWED_HOSTS": ",".join(dict.fromkeys(name for name in names if name)),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(programs.PROJECT), os.environ.get("PYTHONPATH")))),
    }


def _broker_answers() -> bool:
    client = redis.Redis.from_url(settings.FUSTOR_REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:  # not yet; wait_for says so when it stays away
        return False
    finally:
        client.close()


def _is_ready(options: Options) -> bool:
    connection = http.client.HTTPConnection(_loopback(options.host), options.port, timeout=2)
    try:
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):  # not yet; wait_for says so when it stays away
        return False
    finally:
        connection.close()


def _loopback(host: str) -> str:
    """Where this machine itself reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def _loopback_url(options: Options) -> str:
    host = _loopback(options.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{options.port}"


def _announcement(options: Options, agent: LocalAgent | None, password: str | None) -> str:
    login = f"the password {password} (shown this once)" if password else "your password"
    lines = ["", f"Fustor is up: {options.url}/", f"  log in as admin with {login}"]
    if agent:
        lines.append(f"  {agent.watch} as a live tree: {options.url}/views/{agent.view_id}/tree/")
        lines.append(f"  the same for programs: {options.url}/api/v1/views/{agent.view_id}/tree")
        lines.append("  a key for programs: manage.py create_key --kind query --all-views --plain")
    return "\n".join([*lines, "  Ctrl-C stops everything.", ""])
