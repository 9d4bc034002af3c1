"""FFmpeg's video encoders by name, without PyTorch: the only file outside `vidsr.video` that imports av."""

from __future__ import annotations

from av.codec import Codec
from av.codec.codec import UnknownCodecError

from vidsr.errors import OptionError


def find_encoder(name: str) -> Codec:
    """Return FFmpeg's video encoder ``name``.

    Raises:
        OptionError: this FFmpeg build has no such video encoder.
    """
    try:
        codec = Codec(name, "w")
    except (UnknownCodecError, UnicodeError):
        raise OptionError(f"--codec {name} is not in this FFmpeg build: try libx264, libx265 or libsvtav1") from None
    if codec.type != "video":
        raise OptionError(f"--codec {name} encodes {codec.type}: name a video encoder, such as libx264")
    return codec
