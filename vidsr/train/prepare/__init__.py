"""Shards of training data, made from images and clips.

The only part of `train` that may import PyAV, OpenCV or Numba.
"""
