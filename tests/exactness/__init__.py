"""Claims of exactness, each with its measurement; `python -m tests.exactness` writes docs/exactness.md."""

from tests.exactness import color, geometry, robustness, streams, times
from tests.exactness.table import ROWS, Finding, Row, Unmeasured

__all__ = ["ROWS", "Finding", "Row", "Unmeasured", "color", "geometry", "robustness", "streams", "times"]
