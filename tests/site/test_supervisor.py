"""The supervisor with real processes: restart, output, a clean end; and its pure parts."""

import io
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from fustor_site.supervisor import broker, children, ports
from fustor_site.supervisor.backoff import Backoff
from fustor_site.supervisor.home import HomeInUse, HomeLock, keep_secret
from fustor_site.supervisor.output import Output
from fustor_site.supervisor.supervisor import BROKER_GRACE_SECONDS, GRACE_SECONDS
from tests.blackbox.processes import PATIENCE_SECONDS, wait_until

PROJECT = Path(__file__).resolve().parents[2]

# three programs: one with a child of its own, one that ignores SIGTERM, one whose child leaves group and parent as a daemon does
CALM = "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); print('calm', flush=True); time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('stubborn', flush=True); time.sleep(600)"
DAEMON = "import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); time.sleep(600)"
BY_A_DAEMON = f"subprocess.run([sys.executable, '-c', {DAEMON!r}])"
FORKING = f"import subprocess, sys, time; {BY_A_DAEMON}; print('forked', flush=True); time.sleep(600)"
SUPERVISING = """
import os, sys
from fustor_site.supervisor import supervisor as module
from fustor_site.supervisor.output import Output
from fustor_site.supervisor.supervisor import Program, Supervisor

module.GRACE_SECONDS = float(os.environ.get("GRACE_SECONDS", module.GRACE_SECONDS))
supervisor = Supervisor(Output(sys.stdout, colour=False))
for name, code in zip(("web", "worker", "agent"), sys.argv[1:]):
    supervisor.start(Program(name, [sys.executable, "-c", code], os.environ))
try:
    supervisor.run()
finally:
    supervisor.stop()
    print("all stopped", flush=True)
"""


@contextmanager
def supervised(log: Path, *programs: str, **environment: str) -> Iterator[psutil.Process]:
    """A supervisor of these programs, all of them up. Whatever a failing test leaves is killed."""
    with log.open("wb") as output:
        command = [sys.executable, "-c", SUPERVISING, *programs]
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=PROJECT, env=os.environ | environment)
    everyone: list[psutil.Process] = []
    try:
        words = {CALM: "| calm", STUBBORN: "| stubborn", FORKING: "| forked"}
        wait_until(lambda: all(words[program] in log.read_text() for program in programs), PATIENCE_SECONDS, "the programs")
        everyone = family(psutil.Process(process.pid))
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE_SECONDS)
        process.kill()
        for one in everyone:
            with suppress(psutil.NoSuchProcess):
                one.kill()


def family(process: psutil.Process) -> list[psutil.Process]:
    return process.children(recursive=True)


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_program_that_is_killed_comes_back_and_its_children_go(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with supervised(log, CALM) as process:
        web = process.children()[0]
        sleeper = web.children()[0]
        web.kill()
        wait_until(lambda: log.read_text().count("| calm") == 2, PATIENCE_SECONDS, "the restart")
        assert "web ended (killed by SIGKILL)" in log.read_text()
        wait_until(lambda: is_gone(sleeper), PATIENCE_SECONDS, "the end of its child")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_also_what_became_a_daemon(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "log"
    with supervised(log, CALM, FORKING) as process:
        wait_until(lambda: len(family(process)) == 4, PATIENCE_SECONDS, "two programs, a sleeper and a daemon, and no zombie")
        everyone = family(process)
        process.send_signal(number)
        process.wait(PATIENCE_SECONDS)
        assert "all stopped" in log.read_text()
        assert not [one for one in everyone if one.is_running()]


def test_a_program_that_ignores_sigterm_is_gone_after_a_grace_of_less_than_ten_seconds(tmp_path: Path) -> None:
    assert GRACE_SECONDS + BROKER_GRACE_SECONDS < 10
    with supervised(tmp_path / "log", STUBBORN) as process:
        everyone = family(process)
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        assert not [one for one in everyone if one.is_running()]


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    with supervised(tmp_path / "log", STUBBORN, GRACE_SECONDS="600") as process:

        def is_gone_when_told_again() -> bool:
            process.terminate()
            return is_gone(process)

        wait_until(is_gone_when_told_again, PATIENCE_SECONDS, "its end long before the grace is over")


def test_a_killed_supervisor_takes_its_programs_with_it(tmp_path: Path) -> None:
    with supervised(tmp_path / "log", CALM) as process:
        web = process.children()[0]
        process.kill()
        wait_until(lambda: is_gone(web), PATIENCE_SECONDS, "the end of its program")


def test_waiting_grows_with_each_death_and_starts_over_after_a_good_life() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(9)] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert backoff.after(60) == 0.5


def test_output_is_written_by_whole_lines_with_the_program_in_front() -> None:
    stream = io.StringIO()
    output = Output(stream, colour=False)
    output.take("web", b"one\ntw")
    output.take("worker", b"other\n")
    output.take("web", b"o\n\xff\nlast")
    output.ended("web")
    assert stream.getvalue().splitlines() == [
        "web    | one",
        "worker | other",
        "web    | two",
        "web    | \N{REPLACEMENT CHARACTER}",
        "web    | last",
    ]


def test_a_taken_port_is_named_with_the_next_one_to_try() -> None:
    with socket.socket() as taken:
        port = ports.free()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        trouble = ports.trouble("127.0.0.1", port)
    assert f"Port {port}" in trouble
    assert f"PORT={port + 1}" in trouble
    assert ports.trouble("127.0.0.1", port) == ""


def test_an_address_of_another_machine_is_refused_in_words() -> None:
    assert "not an address of this machine" in ports.trouble("192.0.2.1", 8000)
    assert "65535" in ports.trouble("127.0.0.1", 70000)


def test_a_home_is_held_by_one_process_and_free_after_it(tmp_path: Path) -> None:
    first, second = HomeLock(tmp_path), HomeLock(tmp_path)
    first.take("http://one")
    with pytest.raises(HomeInUse, match="http://one"):
        second.take("http://two")
    first.release()
    second.take("http://two")
    second.release()


def test_a_kept_secret_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    keep_secret(tmp_path / "deep" / "key", "abc")
    assert (tmp_path / "deep" / "key").read_text() == "abc\n"
    assert (tmp_path / "deep" / "key").stat().st_mode & 0o777 == 0o600


def test_the_broker_of_a_home_with_a_long_path_listens_in_a_private_short_directory(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 40)
    home.mkdir()
    path = Path(broker.address(home).removeprefix("unix://"))
    try:
        assert broker.address(home) == f"unix://{path}", "every process of the home must come to the same address"
        assert len(bytes(path)) <= broker.LONGEST_SOCKET_PATH
        assert path.parent.stat().st_mode & 0o777 == 0o700
        path.parent.chmod(0o755)
        with pytest.raises(broker.NoBroker, match="private directory"):
            broker.address(home)
    finally:
        path.parent.rmdir()


def test_a_child_reports_its_end_and_is_reaped() -> None:
    child = children.start([sys.executable, "-c", "import time; time.sleep(600)"], os.environ, subprocess.DEVNULL)
    children.end([child], grace=5)
    assert child.returncode == -signal.SIGTERM
    assert not psutil.pid_exists(child.pid)
