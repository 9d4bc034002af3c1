"""Run the campaigns and print a table of their outcomes; the exit code is 1 if anything went wrong."""

from __future__ import annotations

import argparse
import gc
import os
import pickle
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

for _variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):  # a fork keeps no thread pool
    os.environ[_variable] = "1"

from tests.commands import run_vidsr  # noqa: E402
from tests.fuzz import kills, options  # noqa: E402
from tests.fuzz.inputs import fuzz_inputs  # noqa: E402
from tests.fuzz.process import Findings  # noqa: E402
from tests.fuzz.sources import whole_files  # noqa: E402

COLUMNS = (
    *("runs", "done", "truncated", "error line", "verify failed", "interrupted", "bug", "traceback", "signal", "hang"),
    *("leftovers", "files changed", "unclean rerun", "other bytes"),
)
WARM = (
    ("--scale", "2", "--model", "fast", "--fps", "2x"),
    ("--scale", "2", "--model", "lanczos"),
    ("--denoise", "0.5"),
)


def main() -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=0, metavar="N", help="damaged inputs with random options")
    parser.add_argument("--options", action="store_true", help="every option of every command with hostile values")
    parser.add_argument("--kills", type=int, default=0, metavar="N", help="kills at random moments")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth case of --options")
    parser.add_argument("--first", type=int, default=0, metavar="N", help="number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    given = parser.parse_args()
    began, total = perf_counter(), {}
    place = Path(tempfile.mkdtemp(prefix="vidsr-fuzz-"))  # not a TemporaryDirectory, which each fork would remove
    try:
        (place / "whole").mkdir()
        wholes = whole_files(place / "whole")
        warm_up(wholes[0], place)
        if given.inputs:
            numbers = range(given.first, given.first + given.inputs)
            total["damaged inputs"] = in_jobs(
                given.jobs, numbers, lambda part, folder: fuzz_inputs(wholes, part, given.seed, folder), place
            )
        if given.options:
            prepared = options.prepare(place / "for options")
            every = range(given.first, len(options.cases()), given.every)
            total["hostile option values"] = in_jobs(
                given.jobs, every, lambda part, folder: options.fuzz_options(prepared, part, folder), place
            )
        if given.kills:
            files = kills.prepare(place / "for kills")
            total["kills"] = in_jobs(
                given.jobs, range(given.first, given.first + given.kills),
                lambda part, folder: kills.fuzz_kills(files, part, given.seed, folder), place,
            )  # fmt: skip
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"| campaign | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    for campaign, findings in total.items():
        print(f"| {campaign} | {' | '.join(str(findings.counts[column]) for column in COLUMNS)} |")
    print(f"{perf_counter() - began:.0f} s", file=sys.stderr)
    return any(findings.faults for findings in total.values())


def warm_up(clip: Path, place: Path) -> None:
    """Import what a run imports and load the kernels, so that the forks have them."""
    for number, words in enumerate(WARM):
        run_vidsr("enhance", clip, *words, "-o", place / f"warm{number}.mkv")


def in_jobs(jobs: int, numbers: range, campaign: Callable[[range, Path], Findings], place: Path) -> Findings:
    """Share ``numbers`` between ``jobs`` processes and return what all of them found."""
    children = {}
    gc.collect()  # a fork that frees an encoder would wait for threads that it does not have
    gc.freeze()
    for job in range(jobs):
        folder = place / f"job{job}"
        folder.mkdir(exist_ok=True)
        child = os.fork()
        if child == 0:
            result = folder / "result"
            try:
                result.write_bytes(pickle.dumps(campaign(numbers[job::jobs], folder)))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        children[child] = folder / "result"
    found = Findings.none()
    for child, result in children.items():
        os.waitpid(child, 0)
        found.merge(pickle.loads(result.read_bytes()))
    return found


if __name__ == "__main__":
    sys.exit(main())
