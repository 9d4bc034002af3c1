"""Classical kernels on planes of code values, compiled by Numba: resizing, blur, noise, metrics, rounding."""
