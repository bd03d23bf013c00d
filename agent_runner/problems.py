"""What can go wrong between an agent and its server or storage, each with what to do next. Raised by senders and sources."""


class AgentProblem(Exception):
    """Base of every expected failure. `fix` says what a person can do about it; empty when waiting is all there is."""

    fix = ""

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.fix = fix or self.fix


class ConfigProblem(AgentProblem):
    """The configuration cannot be used; the text names the field."""


class SourceProblem(AgentProblem):
    """The storage cannot be watched or scanned."""


class SourceLost(SourceProblem):
    """What lies under the root is another file system than the session was opened for (R20)."""

    fix = "Mount the storage again; nothing is deleted meanwhile."


class SenderProblem(AgentProblem):
    """The server could not be told."""


class Unreachable(SenderProblem):
    """No answer: the network, the name, the port, or the server is down. Worth trying again."""

    fix = "Check that the server runs and that this host can reach it; the agent keeps trying."


class Busy(SenderProblem):
    """429 or 503: the server asks for time. `retry_after` in seconds; the same batch is sent again (R31)."""

    def __init__(self, what: str, retry_after: float) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class NotAuthorized(SenderProblem):
    """401 or 403."""

    fix = "Check the key and the pipe it is bound to; a new key is made in the console under Keys."


class SessionObsolete(SenderProblem):
    """The session ended (419, or 404 on a batch): open a new one at once."""


class StaleWriter(SenderProblem):
    """409: a scan of a leadership term that is over. The scan stops; nothing of it counts (R22)."""


class SequenceGap(SenderProblem):
    """409: the server expects another number. `expected` is the next one to send (R1)."""

    def __init__(self, what: str, expected: int) -> None:
        super().__init__(what)
        self.expected = expected


class TooLarge(SenderProblem):
    """413: the batch is over the receiver's limit; send it in halves."""


class Refused(SenderProblem):
    """Any other 4xx: the server understood and will not do it, now or later."""
