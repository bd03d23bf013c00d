"""What apps.pipes tells the app above it. apps.sessions fills these in its AppConfig.ready()."""

from collections.abc import Callable, Collection, Sequence

_session_enders: list[Callable[[Sequence[int]], None]] = []


def when_keys_revoked(end_sessions: Callable[[Sequence[int]], None]) -> None:
    """Register what ends the live sessions of revoked keys; it gets the keys' primary keys, inside the transaction."""
    _session_enders.append(end_sessions)


def keys_revoked(key_ids: Sequence[int]) -> None:
    """Tell whoever registered that these keys are revoked."""
    for end_sessions in _session_enders:
        end_sessions(key_ids)


_orders: list[Callable[[Collection[str]], object]] = []
_counters: list[Callable[[Collection[str], Collection[str]], int]] = []


def when_agents_wanted(tell: Callable[[Collection[str]], object]) -> None:
    """Register what tells agents, given by their ids, to fetch their configuration; inside the transaction."""
    _orders.append(tell)


def agents_wanted(agents: Collection[str]) -> None:
    """These agents should run another configuration from now on. One that is not connected asks when it comes back."""
    for tell in _orders:
        tell(agents)


def when_sessions_counted(count: Callable[[Collection[str], Collection[str]], int]) -> None:
    """Register what counts the live sessions of pipes (by id) and of keys (by reference), each session once."""
    _counters.append(count)


def count_live_sessions(pipes: Collection[str], keys: Collection[str]) -> int:
    """Live sessions of these pipes or these keys."""
    return sum(count(pipes, keys) for count in _counters)
