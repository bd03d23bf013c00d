"""What apps.pipes tells the app above it. apps.sessions fills these in its AppConfig.ready()."""

from collections.abc import Callable, Sequence

_session_enders: list[Callable[[Sequence[int]], None]] = []


def when_keys_revoked(end_sessions: Callable[[Sequence[int]], None]) -> None:
    """Register what ends the live sessions of revoked keys; it gets the keys' primary keys, inside the transaction."""
    _session_enders.append(end_sessions)


def keys_revoked(key_ids: Sequence[int]) -> None:
    """Tell whoever registered that these keys are revoked."""
    for end_sessions in _session_enders:
        end_sessions(key_ids)
