"""The processes below an agent, looked at while they come and go."""

import psutil

# how long one may give no sign of life: its start counts as silence too, and takes seconds on a busy machine
HUNG_SECONDS = 10


def command_line(process: psutil.Process) -> str:
    """Empty for one that ends in this moment."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def is_job_process(process: psutil.Process) -> bool:
    """True once it is one: between its fork and its start a child still bears its parent's name."""
    return "agent_runner.job_process" in command_line(process)


def is_over(process: psutil.Process) -> bool:
    """True for one that ended, also while nobody took notice of that yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
