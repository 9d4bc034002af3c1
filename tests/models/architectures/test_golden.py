"""Other people's networks against reference outputs of their authors' code, and their scores on Set5."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tiers import slow
from vidsr.evaluate.image_sets import evaluate
from vidsr.models import from_file

TOLERANCE = 2e-3  # of values from 0 to 1: the files keep half precision
PSNR_Y = {  # on Set5, by the authors' code
    "smfanet_plus_x2": 38.203,
    "smfanet_plus_x3": 34.667,
    "smfanet_plus_x4": 32.512,
    "smfanet_x4": 32.243,
    "spanf_x4_ntire2025": 31.773,
    "realesr-animevideov3-x4": 28.247,
    "realesr-general-x4v3": 26.640,
    "ECBSR_M4C16_x4": 30.888,
}
SHORT = {"smfanet_x4", "spanf_x4_ntire2025"}  # run at every commit


def reference(data: Path, name: str) -> tuple[Tensor, Tensor]:
    """Input N x 3 x H x W and output of a reference run."""
    with np.load(data / "golden" / f"{name}.npz") as arrays:
        image = torch.from_numpy(arrays["input"]).permute(2, 0, 1)[None].float() / 255
        return image, torch.from_numpy(arrays["output"].astype(np.float32))[None]


@pytest.mark.parametrize("name", [name for name in PSNR_Y if name != "ECBSR_M4C16_x4"])
def test_the_output_is_that_of_the_authors_code(data: Path, name: str) -> None:
    image, expected = reference(data, name)
    torch.testing.assert_close(from_file(data / "checkpoints" / f"{name}.pth")(image), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", [name if name in SHORT else slow(name) for name in PSNR_Y])
def test_the_psnr_on_set5_is_that_of_the_authors_code(data: Path, name: str) -> None:
    model = from_file(data / "checkpoints" / f"{name}.pth")
    mean = evaluate(model, model.scale, [data / "set5"])[-1]
    assert mean.psnr_y == pytest.approx(PSNR_Y[name], abs=0.01)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_only_networks_with_an_anchor_run_in_bf16(data: Path, dtype: torch.dtype) -> None:
    assert from_file(data / "checkpoints" / "realesr-animevideov3-x4.pth", dtype=dtype).network.dtype == dtype
    kept = from_file(data / "checkpoints" / "smfanet_x4.pth", dtype=dtype).network.dtype
    assert kept == (torch.float16 if dtype == torch.float16 else torch.float32)
