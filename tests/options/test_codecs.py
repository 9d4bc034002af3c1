"""Encoder settings: defaults, accepted values, and one clear line for any other."""

import pytest

from vidsr.errors import OptionError
from vidsr.options.codecs import CODECS, Encoding


def test_defaults_are_libx264_crf_18_medium() -> None:
    assert Encoding() == Encoding.parse()
    assert Encoding().arguments == {"crf": "18", "preset": "medium"}


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_accepts_the_values_of_its_table_entry(codec: str) -> None:
    entry = CODECS[codec]
    crf = None if entry.quality is None else 0.0
    for preset in [None] if entry.speed is None else entry.speed.choices:
        arguments = Encoding.parse(codec, crf=crf, preset=preset).arguments
        assert entry.quality is None or arguments[entry.quality.option] == "0"
        assert preset is None or entry.speed is None or arguments[entry.speed.option] == preset


@pytest.mark.parametrize(
    ("codec", "arguments", "message"),
    [
        ("libx264", {"crf": 52}, "--crf 52: libx264 accepts 0 to 51"),
        ("libx264", {"crf": -1}, "accepts 0 to 51"),
        ("libsvtav1", {"preset": "medium"}, "--encoder-preset medium is unknown to libsvtav1"),
        ("ffv1", {"crf": 18}, "ffv1 has no constant quality"),
        ("prores_ks", {"preset": "fast"}, "prores_ks has no presets"),
        ("mpeg2video", {"crf": 18}, "--encoder-option"),
        ("libx264", {"options": ["tune"]}, "'tune' is not KEY=VALUE"),
        ("libx264", {"options": ["=x"]}, "is not KEY=VALUE"),
    ],
)
def test_a_value_that_a_codec_does_not_accept_gives_a_one_line_error(
    codec: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(OptionError, match=message) as error:
        Encoding.parse(codec, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_encoder_options_pass_unchanged_and_override_defaults() -> None:
    encoding = Encoding.parse("libx264", options=["tune=grain", "x264-params=a=1:b=2", "preset=slow"])
    assert encoding.arguments == {"crf": "18", "preset": "slow", "tune": "grain", "x264-params": "a=1:b=2"}


def test_an_encoder_outside_the_table_gets_only_its_options() -> None:
    assert Encoding.parse("mpeg2video", options=["qscale=3"]).arguments == {"qscale": "3"}
    assert Encoding.parse("null").is_null


def test_an_encoder_option_that_sets_the_rate_replaces_the_default_quality() -> None:
    """With both set, x264 uses the constant quality, and would silently ignore a lossless qp of 0."""
    assert "crf" not in Encoding.parse(options=["qp=0"]).arguments
    assert "crf" not in Encoding.parse("libx265", options=["b=2M"]).arguments
    assert Encoding.parse(crf=3, options=["qp=0"]).arguments["crf"] == "3"
    assert Encoding.parse(options=["tune=grain"]).arguments["crf"] == "18"


@pytest.mark.parametrize(
    ("height", "processors", "threads"),
    [(1080, 2, 5), (720, 2, 0), (1080, 1, 2), (2160, 4, 10), (1080, 4, 0), (1080, 64, 0), (16, 2, 0)],
)
def test_x264_gets_more_threads_only_with_few_processors_and_many_rows(
    height: int, processors: int, threads: int
) -> None:
    assert Encoding().frame_threads(height, processors) == threads
    assert Encoding(threads=7).frame_threads(height, processors) == 7
    assert Encoding("libx265").frame_threads(height, processors) == 0


@pytest.mark.parametrize("option", ["x264-params=keyint=9:stats=log", "x265-params=csv=a.csv", "stats=log"])
def test_encoder_options_that_write_files_are_refused(option: str) -> None:
    with pytest.raises(OptionError, match="names a file of its own: leave it out"):
        Encoding.parse(options=[option])
    Encoding.parse(options=["x264-params=keyint=9:aq-mode=3"])
