"""Training: recipes, the loop, tasks and methods, and the preparation of data sets.

`vidsr train` calls `watch.train`, `vidsr dataset` calls `prepare.dataset.build`. Training itself needs only PyTorch,
NumPy and safetensors; `prepare` also needs PyAV, OpenCV and Numba.
"""
