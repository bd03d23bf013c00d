"""Reported changes of PipeState, judged by the state machine of fustor_schema.pipestate. Pure."""

from fustor_schema.pipestate import IllegalTransition, PipeState, advance


def objection(before: PipeState, after: PipeState) -> str:
    """Why the state machine does not know this change; empty when it does.

    Heartbeats sample the agent's state, so a change may skip short states in between: from a session's first report on,
    INITIALIZING and RECONNECTING may have come and gone unseen.
    """
    if before == PipeState.STOPPED:
        before = PipeState.INITIALIZING
    try:
        advance(before, after)
    except IllegalTransition as error:
        return str(error)
    return ""
