"""How the picture is to be encoded, and what that means to each encoder. Pure: FFmpeg is asked elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from vidsr.errors import OptionError

RATE_OPTIONS = frozenset({"qp", "b", "cq", "global_quality"})  # any of them stands for constant quality, not beside it
NULL_CODEC = "null"  # writes nothing: for measuring everything but the encoder


@dataclass(frozen=True)
class Quality:
    """The option of an encoder that sets constant quality: lower is better and bigger."""

    option: str
    default: float
    worst: float


@dataclass(frozen=True)
class Speed:
    """The option of an encoder that trades time for size, and the words it takes."""

    option: str
    default: str
    choices: tuple[str, ...]


ROWS = 200  # that each of libx264's threads should have: with fewer it could not follow motion up and down as far


@dataclass(frozen=True)
class Codec:
    """What an encoder understands; None where it has no such dial."""

    quality: Quality | None = None
    speed: Speed | None = None
    fixed: dict[str, str] = field(default_factory=dict)  # options it always gets
    params: Literal["x264-params", "x265-params", "svtav1-params"] | None = None  # where its own options go
    quiet: dict[str, str] = field(default_factory=dict)  # own options that keep it from writing to the terminal
    threads: str | None = None  # own option for the number of threads, where FFmpeg's has no effect
    even: bool = False  # subsampled pictures need an even number of samples
    min_width: int = 0  # width in samples that it takes
    requires: str = ""  # to start at all, in words
    fallback: str = ""  # encoder of the same format on the CPU, for where that is not there
    writes_sar: bool = False  # the stream itself says the sample aspect ratio, whatever the container


_X26X = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo")
_NVENC = ("p1", "p2", "p3", "p4", "p5", "p6", "p7", "fast", "medium", "slow")
_RATELESS = {"b": "0"}  # constant quality instead of a bit rate


def _digits(last: int) -> tuple[str, ...]:
    return tuple(str(n) for n in range(last + 1))


def _nvenc(instead: str) -> Codec:
    return Codec(
        Quality("cq", 19, 51),
        Speed("preset", "p5", _NVENC),
        {"rc": "vbr", **_RATELESS},
        even=True,
        requires="an NVIDIA GPU that encodes, which those made for computing (A100, H100) do not",
        fallback=instead,
        writes_sar=True,
    )


_X264 = Codec(
    Quality("crf", 18, 51), Speed("preset", "medium", _X26X), params="x264-params", even=True, writes_sar=True
)
# Default qualities of the other encoders are meant to look like libx264's 18; they were not tuned by measurement.
CODECS: dict[str, Codec] = {
    "libx264": _X264,
    "libx265": replace(
        _X264,
        quality=Quality("crf", 20, 51),
        params="x265-params",
        quiet={"log-level": "none"},
        threads="pools",
        min_width=64,  # up to 48 it writes past its memory (PyAV 18.1)
    ),
    "libsvtav1": Codec(
        Quality("crf", 25, 63), Speed("preset", "8", _digits(13)), params="svtav1-params", threads="lp", even=True
    ),
    "libvpx-vp9": Codec(Quality("crf", 24, 63), Speed("cpu-used", "3", _digits(8)), {**_RATELESS, "row-mt": "1"}),
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
    crf: float | None = None  # None: the codec's default, 18 for libx264
    preset: str | None = None  # None: the codec's default, medium for libx264
    options: tuple[tuple[str, str], ...] = ()  # passed to the encoder as they are, after the others
    threads: int = 0  # 0 lets the encoder choose
    slices: bool = False  # of one picture at a time, not several pictures: slower, and fewer frames held

    def __post_init__(self) -> None:
        codec = self.table_entry
        if self.crf is not None:
            if codec.quality is None:
                raise OptionError(f"--crf {self.crf:g}: {self.codec} has no such dial; use --encoder-option KEY=VALUE")
            if not 0 <= self.crf <= codec.quality.worst:
                raise OptionError(f"--crf {self.crf:g}: {self.codec} takes 0 to {codec.quality.worst:g}")
        if self.preset is not None:
            if codec.speed is None:
                raise OptionError(f"--preset {self.preset}: {self.codec} has none; use --encoder-option KEY=VALUE")
            if self.preset not in codec.speed.choices:
                raise OptionError(
                    f"--preset {self.preset} is unknown to {self.codec}: choose {', '.join(codec.speed.choices)}"
                )

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
        """An encoding from what a person writes; ``options`` are ``key=value`` texts.

        Raises:
            OptionError: the codec has no such quality or preset, or an option is not ``key=value``.
        """
        return cls(codec, crf, preset, tuple(_pair(text) for text in options), threads)

    def frame_threads(self, height: int, processors: int) -> int:
        """Pictures of ``height`` rows that libx264 is to work on side by side, a thread for each; 0: its own choice.

        Its threads wait for rows that others have still to code. With one and a half for each processor, its own
        choice, a fifth of two processors stays idle (benchmarks/throughput.py, part threads).
        """
        if self.codec != "libx264" or self.threads:
            return self.threads
        more = min(5 * processors // 2, height // ROWS)
        return more if more > 3 * processors // 2 else 0

    def check_width(self, width: int) -> None:
        """Nothing, if the encoder takes pictures that narrow.

        Raises:
            OptionError: it does not.
        """
        if width < self.table_entry.min_width:
            raise OptionError(
                f"--codec {self.codec} takes no picture less than {self.table_entry.min_width} wide, and this one is "
                f"{width}: choose libx264"
            )

    @property
    def is_null(self) -> bool:
        """Whether nothing is to be written."""
        return self.codec == NULL_CODEC

    @property
    def table_entry(self) -> Codec:
        """What is known of the encoder; an FFmpeg encoder that is not in the table has no dials."""
        return CODECS.get(self.codec, Codec())

    @property
    def arguments(self) -> dict[str, str]:
        """The encoder's options in FFmpeg's words."""
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
        raise OptionError(f"--encoder-option {text!r} is not key=value: write for example tune=grain")
    return key.strip(), value
