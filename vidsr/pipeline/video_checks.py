"""The checks of the enhanced video of a finished file: size, colour, HDR metadata and frame times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from vidsr.color import WEIGHTS
from vidsr.frames import HdrInfo, VideoInfo
from vidsr.video import FileContents

TAG_DEFAULTS = {"range": "limited", "chroma location": "left"}  # what players assume without a tag
MILLISECOND = Fraction(1, 1000)
HDR_CODECS = ("h264", "hevc", "av1")  # whose encoders write HDR10 metadata
SITING_CODECS = ("h264", "hevc")  # whose encoders write the chroma location
NO_EQUAL_PACKETS = ("h264", "hevc")  # codecs in which no packet equals the one before, even of frames that are equal
HDR_TOLERANCE = Fraction(1, 1000)  # relative; encoders round to fixed points


@dataclass(frozen=True)
class Check:
    """One comparison of an expected with a found value."""

    name: str
    expected: str
    found: str
    ok: bool

    def __str__(self) -> str:
        return f"{self.name}: {self.found}" if self.ok else f"{self.name}: expected {self.expected}, found {self.found}"


def picture_checks(info: VideoInfo, target: FileContents) -> Iterator[Check]:
    """Compare the picture with ``info``, that of the plan."""
    found = target.info
    yield equal("size", f"{info.width}x{info.height}", f"{found.width}x{found.height}")
    chroma = "420" if info.chroma == "gray" and found.codec == "h264" else info.chroma  # as FFmpeg decodes grey H.264
    yield equal("pixel format", f"{chroma} {info.depth} bit", f"{found.chroma} {found.depth} bit")
    yield equal("sample aspect ratio", str(info.sar), str(found.sar))
    yield equal("rotation", info.rotation, found.rotation)
    if info.alpha:
        yield equal("transparency", "kept", "kept" if found.alpha else "lost")
    yield from color_checks(info, target)


def shape_checks(info: VideoInfo, target: FileContents, rotates: bool = False) -> Iterator[Check]:
    """Compare the shape of the picture with that of the source, which has ``info``: its size may differ.

    ``rotates``: the file holds the picture as it is shown, as images do.
    """
    found = target.info
    width, height, sar = info.width, info.height, info.sar
    allowed = Fraction(2, found.width) + Fraction(2, found.height)  # sizes are rounded to even numbers
    if rotates:
        width, height, sar = (height, width, sar) if info.is_on_its_side else (width, height, sar)
        stored = shown = Fraction(width, height)
    else:
        stored, shown = Fraction(width, height), Fraction(width, height) * sar
    ratio = Fraction(found.width, found.height)
    is_square = found.sar == 1 and near(ratio, shown, allowed)  # --square-pixels
    yield Check(
        "size ratio",
        f"{width}x{height}, larger or smaller",
        f"{found.width}x{found.height}",
        near(ratio, stored, allowed) or is_square,
    )
    if not rotates:
        yield Check("sample aspect ratio", str(sar), str(found.sar), found.sar == sar or is_square)
        yield equal("rotation", info.rotation, found.rotation)


def near(a: Fraction, b: Fraction, allowed: Fraction) -> bool:
    """Whether two ratios differ by at most the share ``allowed``."""
    return abs(a / b - 1) <= allowed


def color_checks(info: VideoInfo, target: FileContents) -> Iterator[Check]:
    """Compare the tags of colour, chroma location and HDR10."""
    found = target.info
    # without colour there is no matrix, and x264 names none
    names = ("primaries", "transfer", "range")
    for name in names if info.chroma == "gray" else ("matrix", *names):
        expected = getattr(info.color, name)
        if expected is not None:  # an untagged source may be tagged by the encoder's own default
            tag = getattr(found.color, name) or TAG_DEFAULTS.get(name)
            yield equal(name, expected, expected if name == "matrix" and is_same_matrix(expected, tag) else tag)
    location = info.color.chroma_location
    if location is not None and info.chroma == found.chroma == "420" and found.codec in SITING_CODECS:
        yield equal("chroma location", location, found.color.chroma_location or TAG_DEFAULTS["chroma location"])
    if info.hdr is not None and found.codec in HDR_CODECS:
        yield Check("HDR10 metadata", hdr_text(info.hdr), hdr_text(found.hdr), same_hdr(info.hdr, found.hdr))


def is_same_matrix(one: str, other: str | None) -> bool:
    """Whether two names mean the same matrix: VP8 has one of the two names of BT.601's."""
    return one in WEIGHTS and other is not None and WEIGHTS[one] == WEIGHTS.get(other)


def hdr_text(hdr: HdrInfo | None) -> str:
    """Return the HDR10 metadata in one line."""
    if hdr is None:
        return "none"
    luminance = "" if hdr.luminance is None else f", {float(hdr.luminance[0]):g} to {float(hdr.luminance[1]):g} cd/m2"
    points = (*(hdr.primaries or ()), *(() if hdr.white is None else (hdr.white,)))
    places = "".join(f", {float(x):.3f} {float(y):.3f}" for x, y in points)
    return f"{hdr.max_cll} and {hdr.max_fall} cd/m2{luminance}{places}"


def same_hdr(a: HdrInfo, b: HdrInfo | None) -> bool:
    """Whether ``b`` is what an encoder writes for ``a``: the mastering display only if it is complete."""
    b = HdrInfo() if b is None else b
    if (a.max_cll, a.max_fall) != (b.max_cll, b.max_fall):
        return False
    if a.primaries is None or a.white is None or a.luminance is None:
        return True
    if b.primaries is None or b.white is None or b.luminance is None:
        return False
    pairs = zip((*a.primaries, a.white, a.luminance), (*b.primaries, b.white, b.luminance), strict=True)
    return all(
        abs(x - y) <= HDR_TOLERANCE * max(x, Fraction(1))
        for one, other in pairs
        for x, y in zip(one, other, strict=True)
    )


def time_checks(times: Sequence[Fraction], target: FileContents, shift: Fraction, fps: Fraction | None
                ) -> Iterator[Check]:  # fmt: skip
    """Compare the frames with ``times`` on the clock of the output, which is late by ``shift``."""
    yield equal("frames", len(times), len(target.times))
    yield decodes(target)
    yield in_order(target.times)
    if target.info.codec in NO_EQUAL_PACKETS:
        yield equal("doubled frames", 0, target.repeated_packets)
    if not times or not target.times:
        return
    allowed = allowed_rounding(times, target, shift)
    if len(times) == len(target.times):
        yield close("frame times", Fraction(0), worst_time(times, target, shift), allowed)
    else:
        yield close("first frame", times[0] + shift, target.times[0], allowed)
    yield close("largest gap", largest_gap(times), largest_gap(target.times), 2 * allowed)
    if target.end is not None:
        step = 1 / (fps or Fraction(25))
        yield close("end of the last frame", times[-1] + shift + step, target.end, step)


def allowed_rounding(times: Iterable[Fraction], target: FileContents, shift: Fraction) -> Fraction:
    """Return by how much the container may have rounded ``times``.

    A container with ticks of its own, as Matroska with its milliseconds, rounds to the nearest; a shift, twice.
    """
    if shift:
        return target.tick
    return Fraction(0) if all((time / target.tick).denominator == 1 for time in times) else target.tick / 2


def worst_time(times: Sequence[Fraction], target: FileContents, shift: Fraction) -> Fraction:
    """Return the largest difference of two frame times, for as many frames."""
    return max(abs(a + shift - b) for a, b in zip(times, target.times, strict=True))


def largest_gap(times: Iterable[Fraction]) -> Fraction:
    """Return the longest time from one frame to the next."""
    return max((b - a for a, b in pairwise(times)), default=Fraction(0))


def decodes(target: FileContents) -> Check:
    """Whether every frame could be decoded."""
    problems = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in target.problems.items() if count)
    return Check("every frame decodes", "yes", problems or "yes", not problems)


def in_order(times: list[Fraction]) -> Check:
    """Whether every frame comes after the one before."""
    found = all(a < b for a, b in pairwise(times))
    return equal("times strictly increase", "yes", "yes" if found else "no")


def equal(name: str, expected: object, found: object) -> Check:
    """Return the check that two values are equal."""
    return Check(name, str(expected), str(found), expected == found)


def close(name: str, expected: Fraction, found: Fraction, allowed: Fraction) -> Check:
    """Return the check that two times differ by at most ``allowed``."""
    within = f"{float(expected) * 1000:.6g} ms" + (f" within {float(allowed) * 1000:g} ms" if allowed else "")
    return Check(name, within, f"{float(found) * 1000:.6g} ms", abs(found - expected) <= allowed)
