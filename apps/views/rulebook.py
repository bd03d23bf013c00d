"""One plain sentence per rule, for answers and pages that say why (`explain`, Inspect). Numbers as in docs/consistency.md."""

RULES: dict[int, str] = {
    1: "Every batch has a place in its session's order; one seen before has no effect.",
    2: "Realtime events of one session apply in the order in which they were sent.",
    3: "A claim counts from when it was observed at the source, not from when it arrived.",
    4: "Within a session, a create after a delete always brings the path back.",
    5: "Between sessions the later observation wins; when they overlap in time, the file is kept and looked at again.",
    6: "A remembered delete keeps older claims of the path, and of all below it, away.",
    7: "The path was deleted; the delete is remembered.",
    8: "A remembered delete goes only when nothing older can still arrive.",
    9: "A scan that saw the path well after its delete brings it back.",
    10: "An audit counts as complete only when everything it sent was applied.",
    11: "A complete listing of the directory lacks the name.",
    12: "A directory that could not be read proves nothing about what is in it.",
    13: "What was confirmed within the attribute-cache window is not deleted by a listing.",
    14: "An audit belongs to one leader; it ends without effect when the leader changes.",
    15: "Starting or ending an audit twice is the same as once.",
    16: "What an agent skips next time is what the server acknowledged as complete.",
    17: "A directory that was skipped because its mtime did not change says nothing of deeper levels.",
    18: "Every file is looked at once per deep period.",
    19: "A newer observation replaces what is known, whatever its mtime.",
    20: "The mount is not the one that was known, so nothing it lacks is deleted.",
    21: "An audit that would delete very much is held until it is confirmed.",
    22: "Only the leader of the present term may scan.",
    23: "A session that ended cannot be used.",
    24: "At most one session leads a tree.",
    25: "A view that was complete once stays readable until it is reset.",
    26: "Session timeouts are kept within the server's bounds.",
    27: "A task has one live session.",
    28: "An acknowledged batch is committed.",
    29: "What is known survives a restart.",
    30: "Without its store the server acknowledges nothing.",
    31: "Load is refused before memory runs out.",
    32: "A row that is wrong is refused alone.",
    33: "A body that cannot be read has no effect.",
    34: "Paths are bytes; only what no file can be called is refused.",
    35: "The root is neither deleted nor retyped.",
    36: "A newer observation of another type replaces the node and all below it.",
    37: "Events were lost here; the place is unverified until it was scanned again.",
    38: "New directories are watched before they are listed.",
    39: "A rename moves the whole subtree at once.",
    40: "A file that changed lately, or was seen half written, is suspect until it was seen at rest.",
    41: "Only a scan saw this change; no agent was there when it happened.",
    42: "The storage's own clock is used for ages and nothing else.",
    43: "No step of a clock drops or reorders an event.",
    44: "Expiry does not follow the wall clock.",
    45: "A command is delivered at least once and done once.",
    46: "Answers are bounded and paged.",
    47: "Totals are kept equal to the sum of what is stored.",
    48: "Search covers every kind of node.",
    49: "Staleness counts from the last verification.",
    50: "Every route asks for a key.",
    51: "Each source of a forest has its own leader, audit and freshness.",
    52: "Paths are compared component by component.",
    53: "A reload touches only what changed.",
    54: "The view is full; more nodes are refused, openly.",
    55: "After a complete audit the view equals the storage.",
}


def sentence(rule: int) -> str:
    """What a rule says; empty for 0 (nothing decided yet)."""
    return RULES.get(rule, "")


def tag(rule: int) -> str | None:
    """`R7`; None for 0."""
    return f"R{rule}" if rule else None
