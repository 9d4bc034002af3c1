"""The Python functions: what `import vidsr` offers, and that each does its work."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

import vidsr
from tests.clips import make_clip
from vidsr.errors import InputError, Note
from vidsr.options.enhance import parse_options
from vidsr.options.output_size import Size


def test_the_package_offers_its_functions_and_nothing_else() -> None:
    names = {"VidsrError", "compare", "enhance", "enhance_all", "frames", "load_model", "verify"}
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
    for tensor in (torch.zeros(16, 16, 3), torch.zeros(1, 3, 16, 16)):
        with pytest.raises(vidsr.VidsrError, match="give luma N x 1 x H x W as floats from 0 to 1"):
            model(tensor)
    for image in (0.5, (1, 2), np.zeros((16, 16, 3)), [[0.5]]):
        with pytest.raises(vidsr.VidsrError, match="give uint8 H x W x 3"):
            model(image)  # type: ignore[call-overload]


def test_floats_tuples_and_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=3, size=(64, 48))
    quick: dict[str, Any] = {"model": "nearest", "preset": "ultrafast", "log": False}
    report = vidsr.enhance(source, tmp_path / "b.mp4", size=(96, 72), fps=29.97, progress=True, **quick)
    assert report.output.fps == Fraction(30000, 1001) and report.output.width == 96
    assert capsys.readouterr().err.endswith(f"a.mp4: {report.frames}/{report.plan.output.frames} frames\n")
    seen: list[int] = []
    vidsr.enhance(source, tmp_path / "c.mp4", scale=1, progress=lambda done, total: seen.append(done), **quick)
    assert seen[-1] == 3


def test_enhance_names_the_function_for_a_list() -> None:
    with pytest.raises(InputError, match=r"source is a list: .*vidsr\.enhance_all takes several"):
        vidsr.enhance(["a.mp4", "b.mp4"], scale=2)  # type: ignore[arg-type]


def test_enhance_all_takes_clips_images_and_folders(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    sources = [make_clip(tmp_path / "in" / "a.mp4", 2), make_clip(tmp_path / "b.mp4", 2)]
    reports = vidsr.enhance_all([tmp_path / "in", str(sources[1])], tmp_path / "out", scale=2, model="nearest")
    assert [report.target for report in reports] == [tmp_path / "out" / name for name in ("a.x2.mp4", "b.x2.mp4")]


def test_frames_are_those_of_the_output(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", frames=5, size=(64, 48), codec="ffv1")
    images = list(vidsr.frames(source, scale=2, model="bicubic"))
    assert [image.shape for image in images] == [(96, 128, 3)] * 5 and images[0].dtype == np.uint8
    vidsr.enhance(source, tmp_path / "%d.png", scale=2, model="bicubic", log=False)
    for number, image in enumerate(images, 1):
        written = cv2.imread(str(tmp_path / f"{number}.png"))
        assert np.abs(written[..., ::-1].astype(int) - image).max() <= 1
    assert len(list(vidsr.frames(source, scale=2, model="bicubic", fps="2x"))) == 10


def test_models_take_numpy_pil_and_torch_images() -> None:
    model = vidsr.load_model("fast", scale=2)
    image = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
    expected = model(image)
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    assert np.array_equal(model(tensor).permute(1, 2, 0).numpy(), expected)
    assert model(torch.stack([tensor, tensor])).shape == (2, 3, 24, 40)
    assert model(tensor[:1]).shape == (1, 24, 40)
    with pytest.raises(vidsr.VidsrError, match="give uint8 C x H x W"):
        model(torch.zeros(12, 20, 3, dtype=torch.uint8))
    pil = pytest.importorskip("PIL.Image")
    assert np.array_equal(model(pil.fromarray(image)), expected)
    assert model(pil.fromarray(image).convert("P")).shape == model(pil.fromarray(image).convert("RGBA")).shape
    assert model(pil.fromarray(image[..., 0])).shape == (24, 40)


def test_a_report_is_short_in_a_console_and_a_table_in_a_notebook(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a<b.mp4", frames=2)
    report = vidsr.enhance(source, tmp_path / "b.mp4", scale=1, log=False)
    assert repr(report).startswith("<RunReport source: ") and "frames: 2, " in repr(report) and len(repr(report)) < 600
    html = report._repr_html_()
    assert html.count("<tr>") == 6 and "a&lt;b.mp4" in html and "<td>yes</td>" in html
