"""Python imports this at its start in the processes of an agent under test: their wall clock is off by the seconds that stand in
the file FUSTOR_TEST_CLOCK names, read anew each time, so that a test can step it. The monotonic clock is left alone."""

import os
import time

_FILE = os.environ["FUSTOR_TEST_CLOCK"]
_true_time, _true_time_ns = time.time, time.time_ns


def _offset() -> int:
    with open(_FILE) as file:
        return int(file.read())


def _wrong_time() -> float:
    return _true_time() + _offset()


def _wrong_time_ns() -> int:
    return _true_time_ns() + _offset() * 1_000_000_000


time.time, time.time_ns = _wrong_time, _wrong_time_ns
