"""Recognises listings by their digest, before their rows are read: most of a second snapshot and of every deep look of an audit.

Called by `apply`. A directory without directories remembers the digest of the listing that told its files as they are stored
(`closings`), until something changes in it (`working`). A listing with that digest needs no reading, comparing or deciding.
"""

from collections import Counter

from apps.views.store import nodes
from fustor_schema.decoding import unpack
from fustor_schema.wire import Batch


def find(tree_id: int, batch: Batch) -> set[int]:
    """Numbers of the events that list a directory just as it is stored; the rows of all other listings are read.

    Raises Malformed for rows that are no rows.
    """
    if not batch.listings:
        return set()
    times = Counter(listing.path for listing in batch.listings.values())
    stored = nodes.listing_digests(tree_id, list(times))
    known = {
        number
        for number, listing in batch.listings.items()
        if stored.get(listing.path) == listing.digest and times[listing.path] == 1
    }
    for number in batch.listings.keys() - known:
        unpack(batch, number)
    return known
