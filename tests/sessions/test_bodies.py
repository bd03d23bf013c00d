"""Request bodies: content type, encoding, size."""

import gzip
import json

import pytest
import zstandard

from apps.runtime.problems import BadRequest, TooLarge, Unsupported
from apps.sessions import bodies

BODY = json.dumps({"events": [{"event_type": "insert", "rows": [{"path": f"/f{n}"} for n in range(200)]}]}).encode()
LIMIT = 1 << 20


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY)),
        (" GZIP ", gzip.compress(BODY)),
        ("zstd", zstandard.compress(BODY)),
    ],
)
def test_every_spoken_encoding_gives_the_body_back(encoding: str, raw: bytes) -> None:
    assert bodies.decoded(raw, encoding, LIMIT) == BODY


def test_zstd_without_a_content_size_is_read() -> None:
    stream = zstandard.ZstdCompressor().compressobj()
    assert bodies.decoded(stream.compress(BODY) + stream.flush(), "zstd", LIMIT) == BODY


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_other_encodings_are_415(encoding: str) -> None:
    with pytest.raises(Unsupported):
        bodies.decoded(BODY, encoding, LIMIT)


@pytest.mark.parametrize(
    ("encoding", "raw"),
    [("gzip", gzip.compress(BODY)[:-9]), ("gzip", BODY), ("gzip", b""), ("zstd", BODY)],
    ids=["gzip cut short", "not gzip", "empty gzip", "not zstd"],
)
def test_damaged_bodies_are_400(encoding: str, raw: bytes) -> None:
    with pytest.raises(BadRequest):
        bodies.decoded(raw, encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_bomb_is_stopped_at_the_limit(encoding: str) -> None:
    zeros = bytes(50 << 20)
    raw = gzip.compress(zeros) if encoding == "gzip" else zstandard.compress(zeros)
    with pytest.raises(TooLarge) as refused:
        bodies.decoded(raw, encoding, LIMIT)
    assert refused.value.extra == {"limit_bytes": LIMIT}


def test_the_limit_itself_is_let_in() -> None:
    assert bodies.decoded(BODY, "", len(BODY)) == BODY
    with pytest.raises(TooLarge):
        bodies.decoded(BODY, "", len(BODY) - 1)


@pytest.mark.parametrize("header", ["", "application/json", "application/json; charset=utf-8", "application/vnd.fustor+json"])
def test_json_content_types_are_taken(header: str) -> None:
    bodies.check_content_type(header)


@pytest.mark.parametrize("header", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_other_content_types_are_415(header: str) -> None:
    with pytest.raises(Unsupported):
        bodies.check_content_type(header)
