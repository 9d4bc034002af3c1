"""`python -m vidsr` and `vidsr`: the command line. Signals are handled before anything large is imported."""

from typing import NoReturn

from vidsr.runtime import interrupt


def run() -> NoReturn:
    """Run the command line and end the process."""
    interrupt.run_guarded(_run)


def _run() -> NoReturn:
    from vidsr.cli import app

    app.run()


if __name__ == "__main__":
    run()
