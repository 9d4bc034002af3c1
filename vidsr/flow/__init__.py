"""Optical flow (search, projection, warping) and its uses: interpolation, scene cuts, static overlays, averaging."""
