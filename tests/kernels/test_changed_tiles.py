"""Changed tiles, against a slow twin in NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tiers import examples
from vidsr.kernels.changed_tiles import changed_tiles


@examples(60)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    side=st.sampled_from([1, 4, 16]),
    halo=st.integers(0, 9),
    dtype=st.sampled_from(["u1", "u2", "f4"]),
    data=st.data(),
)
def test_tile_has_changed_if_any_pixel_within_its_halo_has(
    height: int, width: int, side: int, halo: int, dtype: str, data: st.DataObject
) -> None:
    before = np.random.default_rng(0).integers(0, 256, (height, width)).astype(dtype)
    now = before.copy()
    for _ in range(data.draw(st.integers(0, 3))):
        row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
        now[row : row + 1, column] += 1  # a slice, so that 255 wraps to 0
    changed = changed_tiles(before, now, side, halo)
    assert changed.shape == (-(-height // side), -(-width // side))
    for row, column in np.ndindex(*changed.shape):
        reach = tuple(slice(max(0, n * side - halo), (n + 1) * side + halo) for n in (row, column))
        assert changed[row, column] == (before[reach] != now[reach]).any()


def test_planes_of_different_shape_or_type_are_refused() -> None:
    plane = np.zeros((4, 4), np.uint8)
    with pytest.raises(ValueError, match="cannot compare"):
        changed_tiles(plane, plane[:3], 4, 0)
    with pytest.raises(ValueError, match="cannot compare"):
        changed_tiles(plane, plane.astype(np.uint16), 4, 0)
