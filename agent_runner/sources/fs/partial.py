"""Files that are being written: a partial row at most once an interval each, and always one more after the last write. Pure."""

import heapq
from collections import OrderedDict


class PartialWrites:
    """Throttles partial writes by path. `interval_ms`; at most `bound` files are remembered, the oldest are forgotten."""

    def __init__(self, interval_ms: int, bound: int = 50_000) -> None:
        self._interval, self._bound = interval_ms, bound
        self._sent: OrderedDict[bytes, int] = OrderedDict()
        self._due: dict[bytes, int] = {}
        self._queue: list[tuple[int, bytes]] = []

    def written(self, path: bytes, now_ms: int) -> bool:
        """Notes a write. True: report it now; False: it will come out of `due` later."""
        last = self._sent.get(path)
        if last is None or now_ms - last >= self._interval:
            self._remember(path, now_ms)
            return True
        if path not in self._due:
            self._due[path] = last + self._interval
            heapq.heappush(self._queue, (self._due[path], path))
        return False

    def is_open(self, path: bytes) -> bool:
        """True while the file is known to be written and not closed."""
        return path in self._sent

    def closed(self, path: bytes) -> None:
        """The file was closed, deleted or moved away: nothing more is due."""
        self._sent.pop(path, None)
        self._due.pop(path, None)

    def due(self, now_ms: int) -> list[bytes]:
        """Files whose held-back write must be reported now."""
        ripe = []
        while self._queue and self._queue[0][0] <= now_ms:
            at, path = heapq.heappop(self._queue)
            if self._due.get(path) == at:
                del self._due[path]
                self._remember(path, now_ms)
                ripe.append(path)
        return ripe

    def _remember(self, path: bytes, now_ms: int) -> None:
        self._sent[path] = now_ms
        self._sent.move_to_end(path)
        self._due.pop(path, None)
        while len(self._sent) > self._bound:
            forgotten, _ = self._sent.popitem(last=False)
            self._due.pop(forgotten, None)
