"""Training: data sets, recipes, the loop, and the papers' way to measure.

The command line calls ``dataset.build``, ``watch.train`` and ``evaluate.evaluate``. Training itself needs neither PyAV,
OpenCV nor Numba.
"""
