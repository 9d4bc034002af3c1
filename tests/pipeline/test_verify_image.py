"""Images are read again and decoded before they get their name."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from vidsr import enhance
from vidsr.errors import VerifyError
from vidsr.pipeline import enhance_image
from vidsr.pipeline.verify_image import verify_image
from vidsr.video.image import encode_pixels

OPTIONS: dict[str, Any] = {"scale": 2, "model": "bicubic", "device": "cpu"}


def noise(channels: int = 3, dtype: type = np.uint8) -> Any:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (24, 32, channels), endpoint=True).astype(dtype)
    return pixels[..., 0] if channels == 1 else pixels


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".jpg", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_verified(tmp_path: Path, suffix: str, channels: int) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), noise(channels))
    report = enhance(tmp_path / "a.png", tmp_path / f"b{suffix}", **OPTIONS)
    assert report.verification is not None and report.verification.ok
    assert {"the image decodes", "size"} < {check.name for check in report.verification.checks}
    unchecked = enhance(tmp_path / "a.png", tmp_path / f"c{suffix}", verify=False, **OPTIONS)
    assert unchecked.verification is None
    assert (tmp_path / f"b{suffix}").read_bytes() == (tmp_path / f"c{suffix}").read_bytes()


def test_an_image_of_16_bits_is_verified(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), noise(3, np.uint16))
    for suffix in (".png", ".tif", ".jpg"):
        report = enhance(tmp_path / "a.png", tmp_path / f"b{suffix}", **OPTIONS)
        assert report.verification is not None and report.verification.ok


def shortened(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("suffix", "pixels", "difference"),
    [
        (".png", noise()[:, ::-1], "equal pixels: expected all, found not all"),
        (".png", noise()[:20], "size: expected 32x24, found 32x20"),
        (".jpg", 255 - (noise() // 2), "mean error: expected at most 32, found "),
        (".webp", noise()[:, :20], "size: expected 32x24, found 20x24"),
    ],
)
def test_a_wrong_image_is_detected(tmp_path: Path, suffix: str, pixels: Any, difference: str) -> None:
    written = tmp_path / f"x{suffix}"
    written.write_bytes(encode_pixels(written, np.ascontiguousarray(pixels)))
    verification = verify_image(tmp_path / f"a{suffix}", written, noise() // 2 if suffix == ".jpg" else noise())
    with pytest.raises(VerifyError, match=difference):
        verification.raise_if_failed()


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_wrong_transparency_is_detected(tmp_path: Path, suffix: str) -> None:
    right, written = noise(4), tmp_path / f"x{suffix}"
    written.write_bytes(encode_pixels(written, right))
    assert verify_image(tmp_path / f"a{suffix}", written, right).ok
    for alpha in (255, right[::-1, :, 3]):
        wrong = right.copy()
        wrong[..., 3] = alpha
        written.write_bytes(encode_pixels(written, wrong))
        with pytest.raises(VerifyError, match="transparency: expected kept, found lost"):
            verify_image(tmp_path / f"a{suffix}", written, right).raise_if_failed()


def test_an_image_that_was_not_stored_whole_is_kept_as_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), noise())
    broken = lambda path, pixels: shortened(bytes(encode_pixels(path, pixels)))  # noqa: E731
    monkeypatch.setattr(enhance_image, "encode_pixels", broken)
    with pytest.raises(VerifyError, match=r"b\.png was written and differs from its plan: .*; kept as b\.failed\.png"):
        enhance(tmp_path / "a.png", tmp_path / "b.png", **OPTIONS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.failed.png"]
