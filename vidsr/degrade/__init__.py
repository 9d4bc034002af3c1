"""Blur, noise and codecs that make images and clips worse in a known way."""
