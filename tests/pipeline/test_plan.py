"""Plans: the choice of weights and engines, and the order of the stages."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

from vidsr import device
from vidsr.device import Compute
from vidsr.errors import ModelError, Notes
from vidsr.frames import FrameBatch, Origin, VideoInfo
from vidsr.models.weight_files import frame_network_path
from vidsr.options.enhance import parse_options
from vidsr.pipeline.choose import choose_engine, choose_upscale
from vidsr.pipeline.choose_model import choose_domain, choose_model, has_time
from vidsr.pipeline.plan import Plan, make_plan
from vidsr.stages.build import build_stages
from vidsr.stages.diagnosis import ClipSamples, suits_compressed_weights
from vidsr.stages.frame_log import COLUMNS, FrameLog
from vidsr.stages.stopwatch import Stopwatch

PIXELS_A_SECOND = 480 * 270 * 25


def clip(codec: str = "h264", bits_per_pixel: float = 0.05) -> VideoInfo:
    return VideoInfo(480, 270, Fraction(25), codec=codec, bit_rate=round(bits_per_pixel * PIXELS_A_SECOND))


def names(plan: Plan) -> list[str]:
    """Names of the stages that the plan builds."""
    log = FrameLog(Path("log.csv"), plan.log_columns) if plan.log_columns else None
    return [stage.name for stage in build_stages(plan.stages, plan.source, log).in_order]


@pytest.mark.parametrize(
    ("asked", "info", "scales", "domain"),
    [
        ("auto", clip(), (4,), "video"),
        ("auto", clip(bits_per_pixel=0.5), (4,), "clean"),
        ("auto", clip("ffv1"), (4,), "clean"),
        ("auto", clip(), (2,), "video"),
        ("auto", clip(), (5,), "clean"),  # there are no such weights
        ("clean", clip(), (4,), "clean"),
        ("compressed", clip(bits_per_pixel=0.5), (4,), "video"),
        ("auto", VideoInfo(480, 270, None, codec="png"), (4,), "clean"),
    ],
)
def test_the_domain_of_the_weights_follows_the_source(
    asked: str, info: VideoInfo, scales: tuple[int, ...], domain: str
) -> None:
    options = parse_options(scale=4, domain=asked)
    compressed = suits_compressed_weights(info, None)
    assert choose_domain(options, info, "balanced", scales, compressed=compressed) == domain


@pytest.mark.parametrize(
    ("codec", "quantizer", "domain"),
    [("h264", 21.9, "clean"), ("h264", 22.0, "video"), ("mpeg2video", 4.0, "clean"), ("ffv1", 30.0, "clean")],
)
def test_the_quantizer_decides_the_domain_whatever_the_bit_rate_says(codec: str, quantizer: float, domain: str) -> None:
    for bits_per_pixel in (0.01, 0.5):
        info = clip(codec, bits_per_pixel)
        (words,) = make_plan(parse_options(scale=2), info, ClipSamples((), quantizer)).words
        assert f" ({domain}) x2" in words


def test_the_words_of_a_plan_name_the_chosen_model() -> None:
    (words,) = make_plan(parse_options(scale=4), clip()).words
    assert words.startswith("balanced-t (video) x4")


def test_auto_chooses_best_on_a_gpu_if_it_has_weights(tmp_path: Path) -> None:
    for name, scales in {"balanced": (2, 3, 4), "best": (2, 4)}.items():
        for scale in scales:
            (tmp_path / f"{name}-clean-x{scale}.safetensors").touch()
    options, sharp = parse_options(scale=4), clip(bits_per_pixel=0.5)
    chosen = {n: choose_model("cuda", options, sharp, Fraction(n), tmp_path) for n in (1, 2, 3, 4, 8, 12)}
    assert chosen == {1: "best", 2: "best", 3: "balanced", 4: "best", 8: "best", 12: "balanced"}
    assert choose_model("cpu", options, sharp, Fraction(4), tmp_path) == "balanced"
    (tmp_path / "balanced-video-x4.safetensors").touch()
    assert choose_model("cuda", options, clip(), Fraction(4), tmp_path, compressed=True) == "balanced"
    assert choose_model("cuda", options, sharp, Fraction(4), tmp_path) == "best"


def test_a_missing_domain_is_one_clear_error() -> None:
    with pytest.raises(ModelError, match="has no weights for x2 video"):
        make_plan(parse_options(scale=2, domain="compressed", model="espcn"), clip())


def test_the_order_of_stages() -> None:
    plan = make_plan(parse_options(scale=2, fps="2x"), clip())
    assert names(plan) == ["interpolate", "upscale", "finish"]
    assert (plan.output.width, plan.output.fps) == (960, 50)


def test_frames_are_interpolated_at_the_smaller_size() -> None:
    plan = make_plan(parse_options(scale="1/2", fps="2x"), clip())
    assert names(plan) == ["upscale", "interpolate", "finish"]
    plan = make_plan(parse_options(scale="1/2", fps="2x"), clip(), logged=True)
    assert plan.log_columns == COLUMNS
    assert names(plan) == ["upscale", "interpolate", "tap", "finish", "measure"]
    assert plan.upscale is not None and not plan.upscale.rounds  # but once, behind the frames that are made
    assert (plan.output.width, plan.output.fps) == (240, 50)
    assert [words.split()[0] for words in plan.words] == ["lanczos", "interpolate:"]
    assert names(make_plan(parse_options(scale="1/2"), clip(), logged=True)) == ["tap", "upscale", "finish", "measure"]


def test_an_unchanged_size_needs_no_stage() -> None:
    assert make_plan(parse_options(size="480x270"), clip()).upscale is None


@pytest.mark.parametrize("model", ["auto", "fast"])
def test_downscaling_needs_no_network(model: str) -> None:
    plan = make_plan(parse_options(scale="1/2", model=model, device="cpu"), VideoInfo(64, 48, Fraction(25), "gray"))
    assert plan.upscale is not None and plan.upscale.networks == () and plan.weights == {}
    batch = FrameBatch(torch.full((2, 1, 48, 64), 100, dtype=torch.uint8), None, (Fraction(0),) * 2, (Origin(0),) * 2)
    (small,) = build_stages(plan.stages, plan.source)(iter([batch]), Stopwatch())
    assert small.y.shape == (2, 1, 24, 32)


@pytest.mark.parametrize(("device", "name"), [("cpu", "flow"), ("cuda", "net")])
def test_auto_interpolates_by_flow_without_a_gpu_and_notes_the_reason(device: str, name: str) -> None:
    compute = Compute(torch.device(device), torch.float32)
    notes = Notes()
    chosen = choose_engine(parse_options(fps="2x"), compute, notes)
    assert chosen == name and notes.texts[0].startswith(f"interpolation by {name}: ")
    assert choose_engine(parse_options(fps="2x", interpolation="blend"), compute, Notes()) == "blend"


def test_missing_weights_of_an_engine_are_one_clear_error() -> None:
    with pytest.raises(ModelError, match=r"no interpolation network is called 'slow': choose .*net"):
        frame_network_path("slow")


@pytest.mark.parametrize(("model", "precision"), [("fast", "cpu bf16"), ("espcn", "cpu fp32")])
def test_the_words_of_a_plan_name_the_precision(model: str, precision: str) -> None:
    (words,) = make_plan(parse_options(scale=2, model=model, precision="bf16", device="cpu"), clip()).words
    assert precision in words


@pytest.mark.parametrize(
    ("model", "compiled", "precision"),
    [("fast", False, "cpu int8"), ("espcn", False, "cpu fp32"), ("fast", True, "cpu fp32")],
)
@pytest.mark.parametrize("asked", ["auto", "int8"])
def test_a_plan_computes_calibrated_weights_in_int8_where_the_processor_does(
    monkeypatch: pytest.MonkeyPatch, asked: str, model: str, compiled: bool, precision: str
) -> None:
    monkeypatch.setattr(device, "has_int8", lambda _: True)
    monkeypatch.setattr(device, "has_fast_bf16", lambda _: False)
    options = parse_options(scale=2, model=model, precision=asked, device="cpu", compile=compiled)
    (words,) = make_plan(options, clip()).words
    assert precision in words


@pytest.mark.parametrize(
    ("info", "factor", "temporal", "model"),
    [
        (clip("ffv1"), 4, True, "balanced-t"),
        (clip("ffv1"), 4, False, "balanced"),
        (clip("ffv1"), 2, True, "balanced"),  # has no temporal weights
        (clip("ffv1"), 6, True, "balanced"),  # two networks in turn have no state
        (VideoInfo(480, 270, None, codec="png"), 4, True, "balanced"),
    ],
)
def test_a_clip_gets_a_temporal_model_where_one_network_reaches_the_factor(
    info: VideoInfo, factor: int, temporal: bool, model: str, tmp_path: Path
) -> None:
    for name in ("balanced-clean-x2", "balanced-clean-x4", "balanced-t-clean-x4"):
        (tmp_path / f"{name}.safetensors").touch()
    options = parse_options(scale=factor)
    assert choose_model("cpu", options, info, Fraction(factor), tmp_path, temporal=temporal) == model


def test_on_a_gpu_a_temporal_model_goes_before_a_larger_one(tmp_path: Path) -> None:
    for name in ("balanced-clean-x4", "best-clean-x4", "balanced-t-clean-x4"):
        (tmp_path / f"{name}.safetensors").touch()
    assert (
        choose_model("cuda", parse_options(scale=4), clip("ffv1"), Fraction(4), tmp_path, temporal=True) == "balanced-t"
    )


@pytest.mark.parametrize(
    ("device", "size", "asked", "expected"),
    [
        ("cpu", (640, 360), None, True),  # one processor
        ("cpu", (641, 360), None, False),
        ("cpu", (641, 360), True, True),
        ("cpu", (640, 360), False, False),
        ("cuda", (1920, 1080), None, True),
    ],
)
def test_auto_takes_a_temporal_model_where_the_device_has_time(
    device: str, size: tuple[int, int], asked: bool | None, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsr.pipeline.choose_model.processors", lambda: 1)
    assert has_time(parse_options(scale=4, temporal=asked), VideoInfo(*size, Fraction(25)), device) is expected


def test_auto_chooses_the_same_network_for_a_process_with_two_gpus_and_for_workers_with_one() -> None:
    """Another number of --jobs gave another network, and so other bytes."""
    both = tuple(Compute(torch.device(f"cuda:{number}"), torch.float16) for number in range(2))
    info = clip("ffv1")
    chosen = [choose_upscale(parse_options(scale=4), info, computes) for computes in (both, both[:1])]
    assert chosen[0] is not None and chosen[1] is not None
    assert chosen[0].networks[0] == chosen[1].networks[0]
