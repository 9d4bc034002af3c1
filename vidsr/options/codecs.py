"""Encoder settings, and the options of each encoder. FFmpeg itself is not asked here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from vidsr.errors import OptionError
from vidsr.options.parse import did_you_mean

# Parameters of x264, x265 and SVT-AV1 that write a file: a run writes nothing but what the user names as an output
FILE_PARAMETERS = frozenset(
    {"stats", "stat-file", "dump-yuv", "recon", "csv", "tcfile-out", "analysis-save", "analysis-reuse-file"}
)
RATE_OPTIONS = frozenset({"qp", "b", "cq", "global_quality"})  # each replaces the default constant quality
NULL_CODEC = "null"  # writes nothing, to measure everything but the encoder
AUTO = "auto"  # chosen from the clip and the container, by `vidsr.pipeline.choose.choose_encoding`

# Names of formats that `--codec` takes for FFmpeg's encoders
FORMATS = {
    "h264": "libx264", "x264": "libx264", "avc": "libx264", "h265": "libx265", "x265": "libx265", "hevc": "libx265",
    "av1": "libsvtav1", "vp8": "libvpx", "vp9": "libvpx-vp9", "prores": "prores_ks",
}  # fmt: skip


@dataclass(frozen=True)
class Quality:
    """The option of an encoder that sets constant quality; lower is better and larger."""

    option: str
    default: float
    maximum: float


@dataclass(frozen=True)
class Speed:
    """The option of an encoder that trades time for size, and its accepted values."""

    option: str
    default: str
    choices: tuple[str, ...]


# Rows of a frame per thread of libx264; with fewer rows its motion search reaches less far up and down.
ROWS_PER_THREAD = 200


@dataclass(frozen=True)
class Codec:
    """Options that an encoder has; None for those it lacks."""

    quality: Quality | None = None
    speed: Speed | None = None
    fixed: dict[str, str] = field(default_factory=dict)  # options that are always set
    params: Literal["x264-params", "x265-params", "svtav1-params"] | None = (
        None  # parameter list of the encoder library
    )
    quiet: dict[str, str] = field(default_factory=dict)  # entries of that list that silence the library
    threads: str | None = None  # entry of that list for the thread count, where FFmpeg's option has no effect
    even: bool = False  # subsampled frames need an even width and height
    min_width: int = 0  # smallest width in samples
    requires: str = ""  # what the encoder needs to start, in words
    fallback: str = ""  # encoder of the same format on the CPU
    writes_sar: bool = False  # the stream itself states the sample aspect ratio


_X26X = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_NVENC = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "fast", "medium", "slow")
_NO_BIT_RATE = {"b": "0"}  # constant quality instead of a bit rate


def _digits(last: int) -> tuple[str, ...]:
    return tuple(str(n) for n in range(last + 1))


def _nvenc(fallback: str) -> Codec:
    return Codec(
        Quality("cq", 19, 51),
        Speed("preset", "p5", _NVENC),
        {"rc": "vbr", **_NO_BIT_RATE},
        even=True,
        requires="an NVIDIA GPU with a video encoder, which compute models (A100, H100) lack",
        fallback=fallback,
        writes_sar=True,
    )


_X264 = Codec(
    Quality("crf", 18, 51), Speed("preset", "medium", _X26X), params="x264-params", even=True, writes_sar=True
)
# The default qualities of the other encoders aim at the look of libx264's 18; they were not tuned by measurement.
CODECS: dict[str, Codec] = {
    AUTO: Codec(Quality("crf", 18, 63), Speed("preset", "medium", (*_X26X, *_digits(13)))),
    "libx264": _X264,
    "libx265": replace(
        _X264,
        quality=Quality("crf", 20, 51),
        params="x265-params",
        quiet={"log-level": "none"},
        threads="pools",
        min_width=64,  # at widths up to 48 it writes past its memory (PyAV 18.1)
    ),
    "libsvtav1": Codec(
        Quality("crf", 25, 63), Speed("preset", "8", _digits(13)), params="svtav1-params", threads="lp", even=True
    ),
    "libvpx-vp9": Codec(Quality("crf", 24, 63), Speed("cpu-used", "3", _digits(8)), {**_NO_BIT_RATE, "row-mt": "1"}),
    "libvpx": Codec(Quality("crf", 10, 63), Speed("cpu-used", "3", _digits(16)), {"b": "20M"}),
    "ffv1": Codec(fixed={"level": "3", "slicecrc": "1"}),
    "prores_ks": Codec(even=True),
    "h264_nvenc": _nvenc("libx264"),
    "hevc_nvenc": _nvenc("libx265"),
    "av1_nvenc": _nvenc("libsvtav1"),
}


@dataclass(frozen=True)
class Encoding:
    """An encoder and its settings. Build one from text with `Encoding.parse`."""

    codec: str = "libx264"
    crf: float | None = None  # None is the default of the codec, 18 for libx264
    preset: str | None = None  # None is the default of the codec, medium for libx264
    options: tuple[tuple[str, str], ...] = ()  # passed to the encoder unchanged, after the others
    threads: int = 0  # 0 lets the encoder choose
    slices: bool = False  # threads share one frame instead of taking a frame each: slower, holds fewer frames

    def __post_init__(self) -> None:
        codec = self.table_entry
        for option, key in self._parameters():
            if key in FILE_PARAMETERS:
                raise OptionError(f"--encoder-option {option}: {key} names a file of its own: leave it out")
        if self.crf is not None:
            if codec.quality is None:
                raise OptionError(
                    f"--crf {self.crf:g}: {self.codec} has no constant quality: use --encoder-option KEY=VALUE"
                )
            if not 0 <= self.crf <= codec.quality.maximum:
                raise OptionError(f"--crf {self.crf:g}: {self.codec} accepts 0 to {codec.quality.maximum:g}")
        if self.preset is not None:
            if codec.speed is None:
                raise OptionError(
                    f"--encoder-preset {self.preset}: {self.codec} has no presets: use --encoder-option KEY=VALUE"
                )
            if self.preset not in codec.speed.choices:
                choices = ", ".join(codec.speed.choices) + did_you_mean(self.preset, codec.speed.choices)
                raise OptionError(f"--encoder-preset {self.preset} is unknown to {self.codec}: choose {choices}")

    @classmethod
    def parse(
        cls,
        codec: str = "libx264",
        *,
        crf: float | None = None,
        preset: str | None = None,
        options: Iterable[str] = (),
        threads: int = 0,
    ) -> Encoding:
        """Return the encoding for the values of the options: ``codec`` is an encoder or one of `FORMATS`.

        ``options`` are ``key=value`` texts.

        Raises:
            OptionError: the codec does not accept the quality or preset, or an option is not ``key=value``.
        """
        name = FORMATS.get(codec.lower(), codec)
        return cls(name, crf, preset, tuple(_pair(text) for text in options), threads)

    def frame_threads(self, height: int, processors: int) -> int:
        """Return the number of libx264's threads, one per frame of ``height`` rows; 0 is its own choice.

        A thread waits for rows of the previous frame. With libx264's own choice, one and a half threads per processor,
        a fifth of two processors stays idle (benchmarks/throughput.py, part threads).
        """
        if self.codec != "libx264" or self.threads:
            return self.threads
        more = min(5 * processors // 2, height // ROWS_PER_THREAD)
        return more if more > 3 * processors // 2 else 0

    def check_width(self, width: int) -> None:
        """Check that the encoder accepts frames of that ``width``.

        Raises:
            OptionError: it does not.
        """
        if width < self.table_entry.min_width:
            raise OptionError(
                f"--codec {self.codec} needs frames at least {self.table_entry.min_width} pixels wide, and these have "
                f"{width}: choose libx264"
            )

    def _parameters(self) -> Iterator[tuple[str, str]]:
        """Yield each option of the user and the names in its parameter list, ``x264-params=NAME=VALUE:NAME=VALUE``."""
        for option, value in self.options:
            yield option, option
            yield from ((option, part.partition("=")[0].strip()) for part in value.split(":"))

    @property
    def is_null(self) -> bool:
        """Whether the run writes nothing."""
        return self.codec == NULL_CODEC

    @property
    def table_entry(self) -> Codec:
        """The entry of `CODECS`; without options for an FFmpeg encoder that is not in the table."""
        return CODECS.get(self.codec, Codec())

    @property
    def arguments(self) -> dict[str, str]:
        """The encoder's options as FFmpeg names them."""
        codec = self.table_entry
        arguments = dict(codec.fixed)
        if codec.quality is not None and not (self.crf is None and RATE_OPTIONS.intersection(dict(self.options))):
            arguments[codec.quality.option] = f"{codec.quality.default if self.crf is None else self.crf:g}"
        if codec.speed is not None:
            arguments[codec.speed.option] = codec.speed.default if self.preset is None else self.preset
        return arguments | dict(self.options)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise OptionError(f"--encoder-option {text!r} is not KEY=VALUE: write for example tune=grain")
    return key.strip(), value
