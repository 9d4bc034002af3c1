"""Specs: each stage in words, as the summary shows it."""

from fractions import Fraction

import pytest

from vidsr.options.choices import Interpolation
from vidsr.options.frame_rate import Clock, Rate, Times
from vidsr.stages.classical import Classical
from vidsr.stages.specs import InterpolateSpec, NetworkSpec, RestoreSpec, StageSpec, TemporalDenoiseSpec, UpscaleSpec

NETWORK = NetworkSpec("fast", 2, "clean", "fast-clean-x2.safetensors", "0" * 64, "cpu", "bf16")
ON_GPU = NetworkSpec("fast", 2, "clean", "fast-clean-x2.safetensors", "0" * 64, "cuda:0", "fp16")


def interpolate(clock: Clock, engine: Interpolation = "none", slow: Fraction = Fraction(1)) -> InterpolateSpec:
    return InterpolateSpec(clock.slowed(slow), engine, None, "keep", slow)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (RestoreSpec("deblur", Classical("wiener", 1.6, 0.0), 1.0), "deblur: wiener, sigma 1.60"),
        (RestoreSpec("restore", NETWORK, 0.5), "restore: fast (cpu bf16), strength 0.5"),
        (
            TemporalDenoiseSpec(0.5),
            "temporal denoise: average with the previous and the next frame along the motion, strength 0.5",
        ),
        (UpscaleSpec(960, 540, "lanczos"), "lanczos (numba) to 960x540"),
        (UpscaleSpec(960, 540, "lanczos", ((NETWORK,),)), "fast (clean) x2 (cpu bf16) to 960x540"),
        (
            UpscaleSpec(1920, 1080, "lanczos", ((NETWORK, NETWORK), (ON_GPU, ON_GPU))),
            "fast (clean) x2 then x2 (cpu bf16, cuda:0 fp16) to 1920x1080",
        ),
        (interpolate(Times(Fraction(2)), "flow"), "interpolate: optical flow, 2x"),
        (interpolate(Times(Fraction(2)), "net"), "interpolate: the network net, 2x"),
        (interpolate(Rate(Fraction(60))), "interpolate: nearest frame, 60 fps"),
    ],
)
def test_a_stage_in_words(spec: StageSpec, words: str) -> None:
    assert str(spec) == words


@pytest.mark.parametrize(
    ("clock", "slow", "words"),
    [
        (Rate(Fraction(60)), Fraction(5, 2), "nearest frame, 60 fps, 2.5 times slower"),
        (Times(Fraction(1)), Fraction(8), "nearest frame, 8 times slower"),
        (Times(Fraction(2)), Fraction(8), "nearest frame, 2x, 8 times slower"),
    ],
)
def test_slow_motion_names_the_rate_that_the_user_gave(clock: Clock, slow: Fraction, words: str) -> None:
    assert str(interpolate(clock, slow=slow)) == f"interpolate: {words}"
