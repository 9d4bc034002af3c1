"""What is claimed to be exact, with what measures it; `python -m tests.exactness` writes docs/exactness.md."""

from tests.exactness import in_colour, in_form, in_time
from tests.exactness.table import ROWS, Finding, Row, Unmeasured

__all__ = ["ROWS", "Finding", "Row", "Unmeasured", "in_colour", "in_form", "in_time"]
