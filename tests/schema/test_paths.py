"""Paths are bytes, carried as text without loss (R34)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fustor_schema import paths

component = st.binary(min_size=1, max_size=40).filter(lambda raw: b"/" not in raw and b"\0" not in raw and raw not in (b".", b".."))


@given(st.binary(max_size=60))
def test_any_bytes_come_back(raw: bytes) -> None:
    assert paths.to_bytes(paths.from_bytes(raw)) == raw


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_two_names_never_share_a_key(one: bytes, other: bytes) -> None:
    assert (paths.from_bytes(one) == paths.from_bytes(other)) == (one == other)


@given(st.lists(component, min_size=1, max_size=6))
def test_base64_and_bytes_agree(names: list[bytes]) -> None:
    raw = b"/" + b"/".join(names)
    key = paths.normalise_bytes(raw)
    assert paths.from_base64(paths.to_base64(key)) == key
    key.encode()  # databases and JSON take it


def test_characters_of_the_escape_range_are_names_too() -> None:
    real, escaped = "/\U0010ffff".encode(), b"/\xff"
    assert paths.from_bytes(real) != paths.from_bytes(escaped)
    assert paths.to_bytes(paths.from_bytes(real)) == real


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("/", "/"),
        ("//a///b/", "/a/b"),
        ("/a/./b/.", "/a/b"),
        ("/.hidden", "/.hidden"),
        ("/...", "/..."),
        ("/é", "/é"),
        ("/e\u0301", "/e\u0301"),
        ("/a%2Fb?c#d*[e]\n\x1b\u202e", "/a%2Fb?c#d*[e]\n\x1b\u202e"),
    ],
)
def test_normalise(text: str, key: str) -> None:
    assert paths.normalise(text) == key


def test_surrogates_of_old_python_clients_become_their_bytes() -> None:
    assert paths.to_bytes(paths.normalise("/d/\udcff\udcfe")) == b"/d/\xff\xfe"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("rel/ative", "relative"),
        ("/a/../b", ".."),
        ("/..", ".."),
        ("/a\0b", "NUL"),
        ("/\ud800", "surrogate"),
        ("/" + "x" * 256, "255 bytes"),
        ("/" + "é" * 128, "255 bytes"),
        ("/d" * 2049, "4096 bytes"),
    ],
)
def test_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(paths.PathError, match=reason.replace(".", r"\.")):
        paths.normalise(text)


def test_limits_are_inclusive() -> None:
    assert paths.normalise("/" + "x" * 255)
    assert paths.normalise("/" + "é" * 127)
    assert paths.normalise("/d" * 2000)


def test_display_is_lossless_and_plain_where_it_can_be() -> None:
    assert paths.display("/plain\\name") == "/plain\\name"
    assert paths.display(paths.from_bytes(b"/\xff\\x")) == r"/\xff\\x"


def test_ancestors_and_scopes_go_by_components() -> None:
    assert paths.ancestors("/a/b/c") == ("/a/b", "/a", "/")
    assert paths.ancestors("/") == ()
    assert paths.above_all(["/a/b/c", "/a/d", "/"]) == {"/a/b", "/a", "/"}
    assert paths.above_all([]) == {"/"}
    assert paths.is_within("/data/x", "/data")
    assert not paths.is_within("/database/x", "/data")
    assert paths.is_within("/anything", "/")
    assert (paths.parent("/a"), paths.parent("/"), paths.name("/a/b"), paths.join("/", "a")) == ("/", "/", "b", "/a")


def test_bad_base64_is_a_path_error() -> None:
    with pytest.raises(paths.PathError, match="base64"):
        paths.from_base64("not base64!")
