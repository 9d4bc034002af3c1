"""Decisions about the output: its size in pixels, its encoder, and the format that the encoder takes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from vidsr.errors import Notes, OptionError
from vidsr.frames import VideoInfo
from vidsr.options.choices import OutputChroma
from vidsr.options.codecs import AUTO, CODECS, Encoding
from vidsr.options.enhance import EnhanceOptions
from vidsr.options.output_size import OutputSize, Size, Width
from vidsr.options.paths import OutputKind
from vidsr.stages.specs import ConvertSpec, FitSpec
from vidsr.video import nearest_pixel_format

FEW_PLAYERS = ("libx264", "libx265", "libvpx-vp9")  # in 4:4:4: browsers and most devices lack the profile
# Codecs of animations and of image sequences, as their decoders are called: RGB, or JPEG without subsampling
IMAGE_CODECS = ("gif", "apng", "png", "webp", "bmp", "tiff", "mjpeg")
TRANSPARENT_IMAGES = (".png", ".webp")  # suffixes; OpenCV does not mark the alpha of a TIFF as such
SAME_ASPECT = Fraction(1, 100)  # share by which aspect ratios may differ unnoticed


def stored_size(options: EnhanceOptions, info: VideoInfo) -> OutputSize | Width:
    """Return the output size of frames as they are stored; the user means those that are shown, as of a phone clip."""
    return options.output_size.turned if info.is_on_its_side else options.output_size


def output_dimensions(options: EnhanceOptions, info: VideoInfo) -> tuple[int, int]:
    """Return the width and height of the frames to store that ``options`` ask for."""
    sides = info.square_size if options.square_pixels else (info.width, info.height)
    return stored_size(options, info).size(*sides)


def choose_encoding(options: EnhanceOptions, info: VideoInfo, container: str) -> Encoding:
    """Return the encoder that plays most widely for a clip of ``info`` in a ``container``, unless the user named one.

    Options for the encoder are libx264's, unless the user named another one.
    """
    encoding = options.encoding
    if encoding.codec != AUTO:
        return encoding
    width, _ = stored_size(options, info).size(info.width, info.height)
    is_deep = info.depth > 8 and width >= CODECS["libx265"].min_width and not encoding.options
    if container == ".webm":
        is_deep = is_deep and not can_keep_alpha(options, info, container)
        return replace(encoding, codec="libsvtav1" if is_deep or info.codec == "av1" else "libvpx-vp9")
    return replace(encoding, codec="libx265" if is_deep else "libx264")


def can_keep_alpha(options: EnhanceOptions, info: VideoInfo, container: str) -> bool:
    """Whether a source of ``info`` keeps its transparency in a ``container``; a clip does if its encoder is VP9's."""
    able = TRANSPARENT_IMAGES if info.fps is None else (".webm",)
    return info.alpha and options.reading.alpha == "auto" and container in able


def choose_fit(options: EnhanceOptions, info: VideoInfo, notes: Notes) -> FitSpec | None:
    """Return the stage that pads or crops; None where the resized clip has the wanted size."""
    size = stored_size(options, info)
    if not isinstance(size, Size):
        return None
    if size.canvas is not None:
        return None if size.canvas == size.size(info.width, info.height) else FitSpec(*size.canvas)
    if abs(Fraction(size.width * info.height, size.height * info.width) - 1) > SAME_ASPECT:
        turn = -1 if info.is_on_its_side else 1
        before, after = ("x".join(map(str, sides[::turn])) for sides in (
            (info.width, info.height), (size.width, size.height),
        ))  # fmt: skip
        notes.info("aspect_changed", f"{before} is stretched to {after}: --fit pad or crop keeps the shape")
    return None


def choose_convert(
    chroma: OutputChroma | None,
    info: VideoInfo,
    encoding: Encoding,
    output_kind: OutputKind,
    notes: Notes,
    with_alpha: bool = False,
) -> ConvertSpec | None:
    """Return the stage that reaches the format the user wants or the encoder takes.

    None if the source has it.

    Raises:
        OptionError: no such encoder, or a chroma format for images, which are RGB.
    """
    if info.fps is None:
        return None
    if chroma and output_kind == "images":
        raise OptionError(f"--chroma {chroma}: images are RGB or grey, so leave it out")
    wanted = info if chroma is None else replace(info, chroma=chroma)
    is_image = info.codec in IMAGE_CODECS and info.chroma == "444"
    if chroma is None and output_kind == "clip" and is_image and encoding.codec in FEW_PLAYERS:
        wanted = replace(info, chroma="420", depth=min(info.depth, 10))
        notes.info("chroma_reduced", "images become 4:2:0, which every player shows: --chroma 444 keeps all colour")
    if with_alpha:  # the only format of VP9 that has it
        wanted = replace(info, chroma="420", depth=8)
    coded = nearest_pixel_format(wanted, encoding, notes) if output_kind == "clip" else wanted
    if coded.chroma == "444" and chroma is None and encoding.codec in FEW_PLAYERS:
        notes.info("not_widely_playable", "4:4:4, as the source is, is not shown by every player: --chroma 420 is")
    same = (coded.chroma, coded.depth) == (info.chroma, info.depth)
    return None if same else ConvertSpec(coded.chroma, coded.depth)
