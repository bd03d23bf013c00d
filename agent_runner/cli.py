"""The command line: `fustor-agent run|check|scan|config|version`. Parses, sets up logging, hands over."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from agent_runner import config, log
from agent_runner.config import AgentConfig
from agent_runner.home import Home
from agent_runner.problems import AgentProblem, ConfigProblem
from agent_runner.supervisor import Supervisor
from agent_runner.version import VERSION
from agent_runner.worker import BROKER_VARIABLE

USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code: 0 good, 1 failed, 2 used wrongly."""
    options = _parser().parse_args(arguments)
    if options.command == "job":
        from agent_runner import job_process

        return job_process.main()
    log.setup(options.log_format, options.log_level)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except AgentProblem as problem:
        print(f"fustor-agent: {problem}", file=sys.stderr)
        if problem.fix:
            print(f"  {problem.fix}", file=sys.stderr)
        return USAGE if isinstance(problem, ConfigProblem) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fustor-agent", description="Watches and scans storage for a Fustor server.")
    parser.set_defaults(log_format="text", log_level="INFO")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the agent until it is stopped")
    _add_target(run)
    run.add_argument("--broker", default=os.environ.get(BROKER_VARIABLE, ""), help="Redis address for scan jobs (optional)")
    run.set_defaults(run=_run)
    commands.add_parser("version", help="print the version").set_defaults(run=_version)
    commands.add_parser("job", help=argparse.SUPPRESS)
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
    supervisor_config = _with_broker(configuration(options, home), options.broker)
    asyncio.run(_supervise(supervisor_config, home, options.log_format))
    return 0


async def _supervise(agent_config: AgentConfig, home: Home, log_format: str) -> None:
    await Supervisor(agent_config, home, log_format).run()


def _with_broker(agent_config: AgentConfig, broker: str) -> AgentConfig:
    if not broker:
        return agent_config
    return AgentConfig(agent_config.agent_id, agent_config.pipes, agent_config.revision, broker)


def key_of(options: argparse.Namespace) -> str:
    """The key: `--key`, else FUSTOR_AGENT_KEY, else the file that FUSTOR_AGENT_KEY_FILE names. Raises ConfigProblem."""
    given = options.key or os.environ.get("FUSTOR_AGENT_KEY", "")
    path = os.environ.get("FUSTOR_AGENT_KEY_FILE", "")
    if given or not path:
        return str(given)
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigProblem(f"key file {path}: {error.strerror}", "Correct FUSTOR_AGENT_KEY_FILE, or the file's mode.") from error


def configuration(options: argparse.Namespace, home: Home) -> AgentConfig:
    """What to run: `--config`, else `--watch` with `--server`, else the last good configuration. Raises ConfigProblem."""
    if options.config is not None:
        try:
            return config.from_yaml(options.config.read_text(), home, str(options.config))
        except OSError as error:
            raise ConfigProblem(f"{options.config}: {error.strerror}", "Give a file that this user can read.") from error
    if options.watch:
        key = key_of(options)
        if not options.server or not key:
            raise ConfigProblem("--watch needs --server and a key", "Give --server URL and --key KEY.")
        return config.for_watch(options.agent_id or home.agent_id(), options.server, key, options.watch, options.pipe)
    last = config.load_last_good(home)
    if last is None:
        raise ConfigProblem("there is nothing to run", "Give --server, --key and --watch, or --config FILE.")
    return last
