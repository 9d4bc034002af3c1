"""Words that an option with a fixed list of values accepts."""

from typing import Literal, get_args

Alpha = Literal["auto", "drop", "refuse"]  # what to do with transparency that is in use
ChromaFrom = Literal["guided", "kernel", "model"]  # what upscales chroma next to a network
Deinterlace = Literal["auto", "frames", "off", "force"]  # auto: a frame for each field; else for both
Domain = Literal["auto", "clean", "compressed"]  # what the weights were trained for
Fit = Literal["stretch", "pad", "crop"]  # how a clip fills an output of another aspect ratio
Hwaccel = Literal["none", "cuda"]  # what decodes the source
Interpolation = Literal["auto", "flow", "net", "superslomo", "rife", "blend", "none"]
OutputChroma = Literal["420", "422", "444"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Repeats = Literal["keep", "interpolate"]  # what to do with repeated frames
StdoutFormat = Literal["y4m", "raw"]

INTERPOLATIONS: tuple[Interpolation, ...] = get_args(Interpolation)

# The file names and metadata of weights keep the older word for compressed clips.
WEIGHTS_DOMAIN: dict[str, str] = {"clean": "clean", "compressed": "video"}
