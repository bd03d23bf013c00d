"""Recognises by their digest what a scan said before: most of a second snapshot, and of every deep look of an audit.

Called by `apply`. A directory remembers the digest of the rows that told its files as they are stored, until one of them changes
(`working`). Rows with that digest need no checking, comparing or deciding. A listing that a native agent closes is recognised
before it is read, and remembered when its `dir_close` adds up (`closings`). Of an old client's snapshot, rows that follow each
other in one directory are recognised, and remembered when all of them were believed (`arbiter`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from apps.views import glance
from apps.views.folder import Folder, Looked
from apps.views.store import nodes, tables
from fustor_schema import paths
from fustor_schema.decoding import digest_of, unpack
from fustor_schema.wire import Batch, FsRow

# positions in a row of `nodes.directories`
PATH, LISTING_DIGEST = 1, 4 + list(tables.DIRECTORY_STATE).index("listing_digest")


class Run(NamedTuple):
    """Rows of one event that tell the files of one directory. `rows`: how many, a `dir_close` among them."""

    event: int
    first: int
    rows: int
    directory: str
    digest: int
    close: FsRow | None = None


class Repeats(NamedTuple):
    """Of the runs of a batch, those that tell what is stored, by event and first row, and the others, by the same.

    `looked`: the directories that were looked up for this.
    """

    known: Mapping[int, Mapping[int, Run]] = MappingProxyType({})
    others: Mapping[tuple[int, int], Run] = MappingProxyType({})
    looked: Looked = Looked()


def find(tree_id: int, batch: Batch) -> Repeats:
    """What of a batch is known; the rows of all other listings are read. Raises Malformed for rows that are no rows."""
    runs = [*_of_listings(batch), *_of_rows(batch)]
    if not runs:
        return Repeats()
    times = Counter(run.directory for run in runs)
    wanted = paths.above_all(times.keys()) | times.keys()
    looked = Looked(wanted, nodes.directories(tree_id, list(wanted)))
    stored = {row[PATH]: row[LISTING_DIGEST] for row in looked.rows}
    known: dict[int, dict[int, Run]] = {}
    others = {}
    for run in runs:
        if stored.get(run.directory) == run.digest and times[run.directory] == 1:
            known.setdefault(run.event, {})[run.first] = run
        else:
            others[run.event, run.first] = run
    for number in batch.listings.keys() - known.keys():
        unpack(batch, number)
    return Repeats(known, others, looked)


def _of_listings(batch: Batch) -> Iterator[Run]:
    for number, listing in batch.listings.items():
        yield Run(number, 0, len(listing.rows), listing.path, listing.digest, listing.close)


def _of_rows(batch: Batch) -> Iterator[Run]:
    for number, packed in batch.packed.items():
        rows = batch.envelope.events[number].rows
        texts = [row.path for row in rows if row.path is not None and row.path_b64 is None and row.kind is None]
        if not rows or len(texts) < len(rows):
            continue
        heads, directories = [text.rpartition("/")[0] for text in texts], [row.is_directory for row in rows]
        keys = {head for head in set(heads) if head and paths.is_key(head)}
        for start, end in pairwise([*glance.cuts(heads, directories), len(rows)]):
            if not directories[start] and heads[start] in keys:
                yield Run(number, start, end - start, heads[start], digest_of(packed[start:end]))


def remember(folder: Folder, run: Run) -> None:
    """Keep the digest of rows that are stored just as they tell them, when they are all the files of their directory."""
    files = run.rows if run.close is None else run.rows - 1
    if folder.told == (run.event, files) and folder.holds(files=files):
        folder.listing_digest, folder.dirty = run.digest, True
