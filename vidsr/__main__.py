"""python -m vidsr."""

from vidsr.cli.app import run

run()
