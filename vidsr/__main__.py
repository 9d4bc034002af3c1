"""python -m vidsr."""

from vidsr.cli import run

run()
