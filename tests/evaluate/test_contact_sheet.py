"""Contact sheets: where the crops lie, and how they are arranged."""

import numpy as np

from tests.commands import run_vidsr
from vidsr.errors import ExitCode
from vidsr.evaluate.contact_sheet import find_crops, find_detailed_crops, side_by_side


def test_the_crop_covers_the_detail() -> None:
    luma = np.zeros((100, 120), np.uint8)
    luma[60:80, 90:110] = np.random.default_rng(0).integers(0, 256, (20, 20))
    ((rows, columns),) = find_detailed_crops(luma, 32, 1)
    assert rows.start <= 60 and rows.stop >= 80 and columns.start <= 90 and columns.stop >= 110
    assert (rows.stop - rows.start, columns.stop - columns.start) == (32, 32)


def test_the_crop_covers_the_error() -> None:
    error = np.zeros((60, 80), np.float32)
    error[40:44, 70:74] = 9
    ((rows, columns),) = find_crops(error, 16, 1)
    assert rows.start <= 40 and rows.stop >= 44
    assert columns.start <= 70 and columns.stop >= 74


def test_several_crops_do_not_overlap() -> None:
    luma = np.random.default_rng(0).integers(0, 256, (100, 120), np.uint8)
    seen = np.zeros(luma.shape, int)
    for place in find_detailed_crops(luma, 32, 6):
        seen[place] += 1
    assert seen.sum() == 6 * 32 * 32 and seen.max() == 1


def test_the_last_row_is_filled_with_blank_cells() -> None:
    images = [(str(i), np.full((8, 10, 3), i, np.uint8)) for i in range(5)]
    result = side_by_side(images, columns=3, zoom=2)
    assert result.shape[0] == 2 * (16 + 28 + 4)
    assert result.shape[1] == 3 * (20 + 8)


def test_a_huge_number_of_crops_is_refused() -> None:
    """`--crops` with 400 digits searched for crops without an end."""
    result = run_vidsr("compare", "a.mp4", "--scale", "2", "--models", "nearest", "--crops", "9" * 400)
    assert result.returncode == ExitCode.BAD_REQUEST
    assert "--crops" in result.stderr and "Traceback" not in result.stderr
