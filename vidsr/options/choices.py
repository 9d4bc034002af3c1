"""Words that an option with a fixed list of values accepts."""

from typing import Literal, get_args

Alpha = Literal["refuse", "drop"]  # what to do with transparency that is in use
Chroma = Literal["420", "422", "444"]
Deinterlace = Literal["auto", "off", "force"]
Domain = Literal["auto", "clean", "compressed"]  # what weights were trained for
Hwaccel = Literal["none", "cuda"]  # what decodes
Interpolation = Literal["auto", "flow", "net", "superslomo", "blend", "none"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Repeats = Literal["keep", "interpolate"]  # what to do with repeated frames
StdoutFormat = Literal["y4m", "raw"]

ALPHAS: tuple[Alpha, ...] = get_args(Alpha)
CHROMAS: tuple[Chroma, ...] = get_args(Chroma)
DEINTERLACE: tuple[Deinterlace, ...] = get_args(Deinterlace)
DOMAINS: tuple[Domain, ...] = get_args(Domain)
HWACCELS: tuple[Hwaccel, ...] = get_args(Hwaccel)
INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
REPEATS: tuple[Repeats, ...] = get_args(Repeats)
STDOUT_FORMATS: tuple[StdoutFormat, ...] = get_args(StdoutFormat)
