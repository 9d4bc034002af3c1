"""Kernels on planes of code values: resizing, blur, deconvolution, denoising, SSIM, squared error, rounding."""
