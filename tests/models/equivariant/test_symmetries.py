"""The eight symmetries of a square, and the tables of their group."""

import numpy as np
import torch

from vidsr.models.equivariant import SYMMETRIES, apply_symmetry, symmetries, undo_symmetry


def test_the_eight_symmetries_differ_and_are_undone() -> None:
    image = torch.arange(6.0).view(1, 1, 2, 3)
    transformed = [apply_symmetry(image, symmetry) for symmetry in range(SYMMETRIES)]
    assert len({tuple(planes.flatten().tolist()) + tuple(planes.shape) for planes in transformed}) == SYMMETRIES
    for symmetry, planes in enumerate(transformed):
        assert torch.equal(undo_symmetry(planes, symmetry), image)


def test_one_symmetry_after_another_is_their_composition() -> None:
    image = torch.arange(9).reshape(3, 3)
    for a in range(SYMMETRIES):
        for b in range(SYMMETRIES):
            both = apply_symmetry(apply_symmetry(image, b), a)
            assert torch.equal(both, apply_symmetry(image, int(symmetries.composition()[a, b])))


def test_each_tap_moves_to_the_place_that_the_table_names() -> None:
    taps = torch.arange(9)
    for symmetry in range(SYMMETRIES):
        moved = apply_symmetry(taps.view(3, 3), symmetry).flatten()
        assert torch.equal(moved[torch.from_numpy(symmetries.tap_permutations()[symmetry])], taps)


def test_characters_and_matrices_represent_the_group() -> None:
    matrices, characters, composition = symmetries.matrices(), symmetries.characters(), symmetries.composition()
    for a in range(SYMMETRIES):
        for b in range(SYMMETRIES):
            assert np.array_equal(matrices[a] @ matrices[b], matrices[composition[a, b]])
            assert np.array_equal(characters[:, a] * characters[:, b], characters[:, composition[a, b]])
    assert np.array_equal(characters @ characters.T, SYMMETRIES * np.eye(4)), "they are four different ones"
