"""The Python functions: what `import vidsr` offers, and that each does its work."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

import vidsr
from tests.clips import make_clip
from vidsr.errors import Note
from vidsr.options.enhance import parse_options
from vidsr.options.output_size import Size


def test_the_package_offers_its_functions_and_nothing_else() -> None:
    names = {"VidsrError", "compare", "enhance", "load_model", "verify"}
    assert names <= set(dir(vidsr)) and set(vidsr.__all__) == names | {"__version__"}
    with pytest.raises(AttributeError, match="has no attribute 'upscale'"):
        vidsr.upscale  # noqa: B018


def test_enhance_reports_progress_and_notes_and_verify_checks_the_output(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=3, size=(64, 48))
    frames: list[tuple[int, int | None]] = []
    notes: list[Note] = []
    report = vidsr.enhance(
        source,
        tmp_path / "b.mkv",
        scale=Fraction(3, 2),
        model="nearest",
        preset="ultrafast",
        on_frames=lambda written, expected: frames.append((written, expected)),
        on_note=notes.append,
    )
    assert (report.frames, report.output.width, report.output.height) == (3, 96, 72)
    assert frames[-1] == (3, 3)
    assert "color_assumed" in {note.code for note in notes}
    assert vidsr.verify(source, str(tmp_path / "b.mkv")).ok
    other = make_clip(tmp_path / "other.mp4", frames=3, size=(64, 48), fps=12)
    assert not vidsr.verify(other, tmp_path / "b.mkv").ok


def test_compare_returns_the_scores_of_every_method(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=2, size=(64, 48))
    comparison = vidsr.compare(source, scale=2, models=["nearest", "bicubic"], device="cpu")
    assert [score.method for score in comparison.scores] == ["nearest", "bicubic"]
    restored = vidsr.compare(source, deblur=1, blur="gaussian:1.2", models="wiener", device="cpu")
    assert "wiener" in {score.method for score in restored.scores}


def test_load_model_knows_the_domains_by_the_names_of_the_option() -> None:
    assert vidsr.load_model("balanced", 4, domain="compressed").path.name == "balanced-video-x4.safetensors"
    assert vidsr.load_model("balanced", 4).path.name == "balanced-clean-x4.safetensors"
    with pytest.raises(vidsr.VidsrError, match="no_such"):
        vidsr.load_model("no_such", 4)


def test_values_of_other_types_are_accepted_or_one_clear_error(tmp_path: Path) -> None:
    options = parse_options(size=(1920, 1080), crf="18", frames=8.0, encoder_options="tune=film")
    assert (options.output_size, options.frames) == (Size(1920, 1080), 8)
    assert options.encoding.crf == 18.0
    for name, value in {
        "size": 1080, "scale": (2, 2), "height": (1, 2), "fps": (2, 1), "crf": (1,), "model": 3, "raw": 5,
        "frames": 8.5, "start": (1, 2), "encoder_options": 5, "domain": ("clean",), "deblur": (1,), "reference": 5,
    }.items():  # fmt: skip
        with pytest.raises(vidsr.VidsrError) as raised:
            parse_options(**{"slow_motion": 2, name: value})
        assert str(raised.value).startswith("--") and "\n" not in str(raised.value)


@pytest.mark.parametrize("image", [np.zeros((8, 8, 3), np.uint8), torch.zeros(8, 8, 3), 0.5, (1, 2), ""])
def test_an_image_in_place_of_a_path_is_one_clear_error(image: object) -> None:
    for call in (
        lambda: vidsr.enhance(image, scale=2),  # type: ignore[arg-type]
        lambda: vidsr.compare(image),  # type: ignore[arg-type]
        lambda: vidsr.verify("a.mp4", image),  # type: ignore[arg-type]
    ):
        with pytest.raises(vidsr.VidsrError, match="give the path of a file"):
            call()


class PilImage:
    """What vidsr knows of a PIL image."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.__array_interface__ = pixels.__array_interface__
        self.pixels = pixels


def test_a_model_takes_pil_images_and_refuses_tensors_of_another_shape() -> None:
    model = vidsr.load_model("fast", 2)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(model(PilImage(pixels)), model(pixels))  # type: ignore[call-overload]
    for tensor in (torch.zeros(16, 16, 3), torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16, dtype=torch.uint8)):
        with pytest.raises(vidsr.VidsrError, match="give luma N x 1 x H x W as floats from 0 to 1"):
            model(tensor)
    for image in (0.5, (1, 2), np.zeros((16, 16, 3)), [[0.5]]):
        with pytest.raises(vidsr.VidsrError, match="give uint8 H x W x 3"):
            model(image)  # type: ignore[call-overload]
