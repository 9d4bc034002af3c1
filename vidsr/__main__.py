"""`python -m vidsr`: the command line."""

from vidsr.cli.app import run

run()
