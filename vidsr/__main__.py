"""python -m vidsr."""

from vidsr.cli import main

main()
