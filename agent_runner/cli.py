"""The command line: `fustor-agent run|check|scan|config|version`. Parses, sets up logging, hands over."""

import argparse
import asyncio
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from agent_runner import check, config, enrolment, log, upgrade
from agent_runner.config import AgentConfig, Own
from agent_runner.home import Home
from agent_runner.problems import AgentProblem, ConfigProblem
from agent_runner.supervisor import Options, Supervisor
from agent_runner.version import VERSION
from agent_runner.worker import BROKER_VARIABLE

FAILED, USAGE = 1, 2
OPTIONAL_COMMANDS = ("update_config",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0 good, 1 failed, 2 used wrongly, 75 to be started again."""
    options = _parser().parse_args(arguments)
    log.setup(options.log_format, options.log_level)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except AgentProblem as problem:
        print(f"fustor-agent: {problem}", file=sys.stderr)
        if problem.fix:
            print(f"  {problem.fix}", file=sys.stderr)
        return USAGE if isinstance(problem, ConfigProblem) else FAILED
    except KeyboardInterrupt:
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fustor-agent", description="Watches and scans storage for a Fustor server.")
    parser.set_defaults(log_format="text", log_level="INFO")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the agent until it is stopped")
    _add_target(run)
    run.add_argument("--token", default=os.environ.get("FUSTOR_AGENT_TOKEN", ""), help="enrolment token instead of a key")
    run.add_argument("--broker", default=os.environ.get(BROKER_VARIABLE, ""), help="Redis address for scan jobs (optional)")
    run.add_argument("--allow", action="append", default=[], choices=OPTIONAL_COMMANDS, help="remote command to carry out")
    run.add_argument(
        "--upgrade-command",
        metavar="COMMAND",
        default=os.environ.get("FUSTOR_AGENT_UPGRADE_COMMAND", ""),
        help="what the remote command upgrade runs, without a shell; refused when not given",
    )
    run.set_defaults(run=_run)
    checking = commands.add_parser("check", help="tell whether everything the agent needs is there, and how to mend what is not")
    _add_target(checking)
    checking.set_defaults(run=_check)
    scan = commands.add_parser("scan", help="scan a directory once and print what would be sent")
    scan.add_argument("--watch", required=True, metavar="DIR", help="directory to scan")
    scan.add_argument("--echo", action="store_true", required=True, help="print to stdout, one JSON line a batch")
    scan.set_defaults(run=_scan)
    show = commands.add_parser("config", help="print the configuration that would run, as YAML without keys")
    _add_target(show)
    show.set_defaults(run=_config)
    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    return parser


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", default=os.environ.get("FUSTOR_SERVER", ""), help="address, e.g. http://fustor.example:8000")
    parser.add_argument("--key", default="", help="key; better FUSTOR_AGENT_KEY, or FUSTOR_AGENT_KEY_FILE naming a file")
    parser.add_argument("--watch", action="append", default=[], metavar="DIR", help="directory to watch; may be given again")
    parser.add_argument("--agent-id", default="", help="id of this host; made and kept when not given")
    parser.add_argument("--pipe", default="", help="id of the agent pipe; made from the directory when not given")
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML file instead of --watch")
    parser.add_argument("--log-format", choices=log.FORMATS, default="text")
    parser.add_argument("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO")


def _version(options: argparse.Namespace) -> int:
    print(f"fustor-agent {VERSION}")
    return 0


def _run(options: argparse.Namespace) -> int:
    home = Home()
    own = _own(options, home)
    if options.token and not own.key:
        own = replace(own, key=asyncio.run(enrolment.enrol(own.server, options.token, own.agent_id, home)))
    wanted = configuration(options, own, home)
    if options.broker:
        wanted = msgspec.structs.replace(wanted, broker_url=options.broker)
    started = Options(own, tuple(options.allow), _upgrade_command(options, own), options.log_format)
    return asyncio.run(_supervise(wanted, home, started))


async def _supervise(wanted: AgentConfig, home: Home, options: Options) -> int:
    return await Supervisor(wanted, home, options).run()


def _upgrade_command(options: argparse.Namespace, own: Own) -> tuple[str, ...]:
    """`--upgrade-command`, else what the agent's own file says; never the server. Raises ConfigProblem."""
    if options.upgrade_command:
        try:
            words = shlex.split(options.upgrade_command)
        except ValueError as error:
            raise ConfigProblem(f"--upgrade-command: {error}", "Quote its words as for a shell.") from error
        return upgrade.checked(words, "--upgrade-command")
    if options.config is not None:
        return upgrade.checked(config.from_own_file(options.config, own)[1], f"{options.config}: upgrade_command")
    return ()


def _check(options: argparse.Namespace) -> int:
    home = Home()
    own = _own(options, home)
    return check.run(configuration(options, own, home))


def _scan(options: argparse.Namespace) -> int:
    return check.scan_to_stdout(options.watch)


def _config(options: argparse.Namespace) -> int:
    home = Home()
    print(config.to_yaml(configuration(options, _own(options, home), home)), end="")
    return 0


def _own(options: argparse.Namespace, home: Home) -> Own:
    """This host's id, server and key: `--key`, else FUSTOR_AGENT_KEY, else the file that FUSTOR_AGENT_KEY_FILE names, else the key
    of an earlier enrolment. Raises ConfigProblem."""
    key = options.key or os.environ.get("FUSTOR_AGENT_KEY", "")
    path = os.environ.get("FUSTOR_AGENT_KEY_FILE", "")
    if not key and path:
        try:
            key = Path(path).read_text().strip()
        except OSError as error:
            raise ConfigProblem(
                f"key file {path}: {error.strerror}", "Correct FUSTOR_AGENT_KEY_FILE, or the file's mode."
            ) from error
    return Own(options.agent_id or home.agent_id(), options.server, key or enrolment.kept_key(home))


def configuration(options: argparse.Namespace, own: Own, home: Home) -> AgentConfig:
    """What to run: `--config`, else `--watch`, else the last good configuration, else what the server will say.

    Raises ConfigProblem.
    """
    if options.config is not None:
        return config.from_own_file(options.config, own)[0]
    if options.watch:
        if not own.server or not own.key:
            raise ConfigProblem("--watch needs --server and a key", "Give --server URL and --key KEY.")
        return config.for_watch(own.agent_id, own.server, own.key, options.watch, options.pipe)
    last = config.load_last_good(home)
    if last is not None:
        return last
    if own.server and own.key:
        return AgentConfig(agent_id=own.agent_id)
    raise ConfigProblem("there is nothing to run", "Give --server with --key or --token, and --watch DIR or --config FILE.")
