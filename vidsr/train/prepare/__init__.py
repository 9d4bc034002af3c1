"""Writing shards of training data from images and clips.

This is the only part of `train` that may import PyAV, OpenCV or Numba; import-linter holds the rest to that.
"""
