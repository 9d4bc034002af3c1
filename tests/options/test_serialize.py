"""JSON of dataclasses: every value survives the round trip, through text."""

import json
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.errors import OptionError
from vidsr.options.choices import Alpha, Deinterlace, Domain, Hwaccel, OutputChroma, Precision, StdoutFormat
from vidsr.options.codecs import CODECS, FILE_PARAMETERS, Encoding
from vidsr.options.enhance import EnhanceOptions, parse_options
from vidsr.options.frame_rate import Rate, Times
from vidsr.options.output_size import Factor, Height, Size
from vidsr.options.restoration import TASKS, Restoration
from vidsr.options.serialize import from_json, to_json
from vidsr.options.source import RawFormat, Reading

positive = st.fractions(Fraction(1, 1000), Fraction(1000), max_denominator=1001)
counts = st.integers(1, 10_000)
paths = st.text("abc/. é%", min_size=1).map(Path)
sizes = st.one_of(st.builds(Factor, positive), st.builds(Height, counts), st.builds(Size, counts, counts))
clocks = st.one_of(st.builds(Times, positive), st.builds(Rate, positive, positive))
restorations = st.lists(
    st.builds(
        Restoration,
        st.sampled_from(TASKS),
        st.none() | st.floats(0, 1),
        st.sampled_from(["auto", "wiener", "denoise"]),
        st.none() | st.floats(0.1, 100),
    ),
    max_size=3,
).map(tuple)
texts = st.text().filter(lambda text: text.strip() not in FILE_PARAMETERS)  # which no encoding may have
encodings = st.builds(
    Encoding,
    st.sampled_from([name for name, codec in CODECS.items() if codec.quality is not None]),
    crf=st.none() | st.floats(0, 50),
    options=st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
    threads=st.integers(0, 8),
    slices=st.booleans(),
)
raw_formats = st.builds(RawFormat, counts, counts, st.just("yuv420p"), positive)
readings = st.builds(
    Reading,
    st.none() | positive,
    st.none() | raw_formats,
    st.sampled_from(get_args(Alpha)),
    st.sampled_from(get_args(Hwaccel)),
    st.none() | counts,
)


@st.composite
def options(draw: st.DrawFn) -> EnhanceOptions:
    """Any options that do not contradict themselves."""
    slow = draw(st.sampled_from([Fraction(1), Fraction(5, 2), Fraction(8)]))
    return EnhanceOptions(
        output_size=draw(sizes),
        clock=draw(st.none() | clocks),
        repeats=draw(st.sampled_from(["keep", "interpolate"])),
        slow_motion=slow,
        slow_audio=slow != 1 and draw(st.booleans()),
        restorations=draw(restorations),
        temporal_denoise=draw(st.booleans()),
        temporal=draw(st.booleans()),
        model=draw(st.sampled_from(["auto", "fast+"])),
        domain=draw(st.sampled_from(get_args(Domain))),
        precision=draw(st.sampled_from(get_args(Precision))),
        batch=draw(st.none() | counts),
        memory=draw(st.none() | counts),
        encoding=draw(encodings),
        reading=draw(readings),
        stdout_format=draw(st.sampled_from(get_args(StdoutFormat))),
        chroma=draw(st.none() | st.sampled_from(get_args(OutputChroma))),
        start=draw(st.none() | positive),
        deinterlace=draw(st.sampled_from(get_args(Deinterlace))),
        log=draw(st.just(True) | paths),
        reference=draw(st.none() | paths),
    )


@examples(100)
@given(options())
def test_options_survive_the_round_trip_through_json_text(given: EnhanceOptions) -> None:
    assert from_json(EnhanceOptions, json.loads(json.dumps(to_json(given)))) == given


def test_every_field_of_the_options_is_written() -> None:
    data = to_json(parse_options(scale="3/2", fps="2x", log="none"))
    assert list(data) == list(EnhanceOptions.__dataclass_fields__)
    assert data["output_size"] == {"type": "Factor", "value": "3/2"}
    assert data["clock"] == {"type": "Times", "factor": "2"}
    assert data["log"] is False


class Shape(Enum):
    ROUND = "round"


@dataclass(frozen=True)
class Inner:
    value: Fraction | float | None = None


@dataclass(frozen=True)
class Outer:
    """One field for each kind of hint."""

    inner: Inner = Inner()
    by_name: dict[str, Inner] = field(default_factory=dict)
    optional: tuple[Inner | Size, ...] | None = None
    pair: tuple[Fraction, str] = (Fraction(1), "")
    kind: Literal["a", "b"] = "a"
    shape: Shape = Shape.ROUND
    several: list[int] = field(default_factory=list)
    flag: int | bool = 0
    anything: Any = None
    counted: int = field(default=0, init=False)


@pytest.mark.parametrize(
    "value",
    [
        Outer(),
        Outer(
            Inner(Fraction(1, 3)), {"x": Inner(0.5), "y": Inner()}, (Inner(), Size(2, 3)), (Fraction(2, 7), "b"), "b"
        ),
        Outer(optional=(), several=[3, 1], flag=True, anything={"free": [1, None]}),
    ],
)
def test_every_kind_of_hint_survives_the_round_trip(value: Outer) -> None:
    again = from_json(Outer, json.loads(json.dumps(to_json(value))))
    assert again == value
    assert type(again.flag) is type(value.flag)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"kind": "c"}, ValueError),
        ({"unknown": 1}, KeyError),
        ({"pair": ["1"]}, ValueError),
        ({"several": ["one"]}, TypeError),
        ({"shape": "square"}, ValueError),
    ],
)
def test_data_of_another_type_is_refused(change: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        from_json(Outer, to_json(Outer()) | change)


def test_options_that_contradict_themselves_are_refused_when_read() -> None:
    data = to_json(parse_options(scale=2)) | {"slow_audio": True}
    with pytest.raises(OptionError, match="--slow-audio"):
        from_json(EnhanceOptions, data)


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="complex has no JSON form"):
        to_json({"a": 1j})
