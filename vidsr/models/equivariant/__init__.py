"""Networks whose kernels are tied under the eight flips and rotations of an image: they are equivariant.

The output for a flipped or rotated image is the flipped or rotated output. On a CPU in float32 such convolutions take a
fifth of the multiplications, by Numba kernels (orbit_kernels.py). Without Numba, on a GPU and in half precision they
are the usual convolutions of PyTorch.
"""

from vidsr.models.equivariant.orbit_convolution import (
    OrbitConvReLU,
    saved_multiplications,
    use_orbit_convolutions,
)
from vidsr.models.equivariant.symmetries import SYMMETRIES, TAPS, apply_symmetry, undo_symmetry
from vidsr.models.equivariant.tied import (
    compress_tied,
    expand_tied,
    is_equivariant,
    is_tied,
    isotypic_bases,
    transform_kernel,
)

__all__ = [
    "SYMMETRIES",
    "TAPS",
    "OrbitConvReLU",
    "apply_symmetry",
    "compress_tied",
    "expand_tied",
    "is_equivariant",
    "is_tied",
    "isotypic_bases",
    "saved_multiplications",
    "transform_kernel",
    "undo_symmetry",
    "use_orbit_convolutions",
]
