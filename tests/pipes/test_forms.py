"""Forms from schemas, the pure part: any driver's struct becomes fields, values are read as they are shown."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.pipes import drivers
from apps.pipes.config.document import Document
from apps.pipes.config.places import Place
from apps.pipes.forms.form import ObjectForm
from apps.pipes.forms.schema import FieldSpec, Shape, specs_of
from apps.pipes.forms.values import read, show
from apps.runtime.drivers import Driver


class Inner(msgspec.Struct, frozen=True):
    depth: int = 1


class BucketSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a third party might publish."""

    region: Annotated[str, msgspec.Meta(title="Region", description="Where the bucket is.", min_length=2)]
    mode: Literal["list", "inventory"] = "list"
    inventory: Annotated[
        str, msgspec.Meta(extra_json_schema={"format": "path", "x-when": {"field": "mode", "equals": "inventory"}})
    ] = ""
    every: Annotated[float, msgspec.Meta(gt=0, le=86400, extra_json_schema={"x-unit": "seconds"})] = 60.0
    cache: Annotated[int | None, msgspec.Meta(extra_json_schema={"x-unit": "bytes", "x-advanced": True})] = None
    prefixes: list[str] = []
    headers: dict[str, str] = {}
    inner: Inner = Inner()
    exact: bool = False
    share: float = 0.5


BUCKET = Driver("bucket", "Bucket", BucketSettings)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third party's source driver is installed."""
    known = {**drivers.source_drivers(), "bucket": BUCKET}
    monkeypatch.setattr(drivers, "source_drivers", lambda: known)


def test_a_struct_becomes_typed_fields() -> None:
    specs = {spec.name: spec for spec in specs_of(BucketSettings, "driver_params.")}
    shapes = {name.removeprefix("driver_params."): spec.shape for name, spec in specs.items()}
    assert shapes == {
        "region": Shape.TEXT,
        "mode": Shape.CHOICE,
        "inventory": Shape.PATH,
        "every": Shape.DURATION,
        "cache": Shape.SIZE,
        "prefixes": Shape.LINES,
        "headers": Shape.PAIRS,
        "inner": Shape.JSON,
        "exact": Shape.SWITCH,
        "share": Shape.NUMBER,
    }
    region = specs["driver_params.region"]
    assert (region.label, region.help, region.required) == ("Region", "Where the bucket is.", True)
    assert specs["driver_params.inventory"].when == ("driver_params.mode", "inventory")
    assert specs["driver_params.cache"].advanced
    assert specs["driver_params.every"].maximum == 86400


def test_a_driver_of_a_third_party_has_its_form(bucket: None) -> None:
    html = ObjectForm(Place("sources", "b"), Document(), fields={"driver": "bucket", "uri": "b"}).as_p()
    for words in ("driver_params.region", "Where the bucket is.", 'value="1 min"', "inventory", '"depth": 1'):
        assert words.replace('"', "&quot;") in html or words in html, words


def test_a_driver_that_only_the_agent_knows_is_written_as_json() -> None:
    fields = {"driver": "tape", "uri": "/dev/st0", "driver_params": {"robot": [1, 2]}}
    form = ObjectForm(Place("sources", "tape"), Document(), fields=fields)
    assert "tape (not known here)" in str(form["driver"])
    assert "robot" in str(form["driver_params"])


@pytest.mark.parametrize(
    ("shape", "text", "value"),
    [
        (Shape.DURATION, "90", 90),
        (Shape.DURATION, "1 h 30 min", 5400),
        (Shape.DURATION, "1.5m", 90),
        (Shape.DURATION, "0.25 s", 0.25),
        (Shape.DURATION, "2d", 172_800),
        (Shape.SIZE, "64 MiB", 64 * 1024**2),
        (Shape.SIZE, "1.5k", 1536),
        (Shape.SIZE, "17", 17),
        (Shape.INTEGER, " 12 ", 12),
        (Shape.NUMBER, "0,5", 0.5),
        (Shape.LINES, "a\n\n b \n", ["a", "b"]),
        (Shape.PAIRS, "site: north\nurl=http://x:1", {"site": "north", "url=http": "//x:1"}),
        (Shape.PAIRS, "a=b", {"a": "b"}),
        (Shape.JSON, '{"a": [1]}', {"a": [1]}),
        (Shape.DURATION, "  ", None),
        (Shape.LINES, "", []),
        (Shape.TEXT, "", ""),
    ],
)
def test_people_write_values_as_they_say_them(shape: Shape, text: str, value: Any) -> None:
    assert read(FieldSpec("x", shape, "X"), text) == value


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (Shape.DURATION, "soon"),
        (Shape.DURATION, "-5 s"),
        (Shape.DURATION, "5 parsecs"),
        (Shape.DURATION, "nan"),
        (Shape.SIZE, "big"),
        (Shape.SIZE, "1 kg"),
        (Shape.INTEGER, "1.5"),
        (Shape.INTEGER, "٣.٥"),
        (Shape.NUMBER, "inf"),
        (Shape.NUMBER, "x"),
        (Shape.PAIRS, "no mark"),
        (Shape.PAIRS, ": north"),
        (Shape.JSON, "{a: 1}"),
        (Shape.JSON, "NaN"),
    ],
)
def test_what_means_nothing_is_refused_in_words(shape: Shape, text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read(FieldSpec("x", shape, "X"), text)


@given(st.integers(0, 10**12) | st.floats(0.001, 1000).map(lambda value: round(value, 3)))
def test_a_time_is_read_as_it_is_shown(seconds: float) -> None:
    spec = FieldSpec("x", Shape.DURATION, "X")
    assert read(spec, show(spec, seconds)) == pytest.approx(seconds)


@given(st.integers(0, 2**60))
def test_a_size_is_read_as_it_is_shown(octets: int) -> None:
    spec = FieldSpec("x", Shape.SIZE, "X")
    assert read(spec, show(spec, octets)) == octets


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_whatever_an_object_holds_can_be_shown(value: Any) -> None:
    for shape in Shape:
        if shape not in (Shape.SWITCH, Shape.CHOICES):
            assert isinstance(show(FieldSpec("x", shape, "X"), value), str)
