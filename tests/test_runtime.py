"""The command line's own process: memory that is used again, and what programs keep to themselves."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource
from vidsr import runtime as process
kept = {prepare}
import numpy as np
def faults():
    for _ in range(5):
        np.empty(40 << 20, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
print(-1 if kept is False else faults() - before)
"""


def page_faults(prepare: str) -> int:
    code = FAULTS.format(prepare=prepare)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc that is told")
def test_large_planes_are_not_given_back_and_asked_for_again_at_every_frame() -> None:
    kept = page_faults("process.keep_freed_memory()")
    if kept < 0:
        pytest.skip("not glibc")
    assert kept < page_faults("None") / 5


def test_importing_vidsr_changes_nothing_of_the_program() -> None:
    code = (
        "import gc, os; before = gc.get_threshold(); import vidsr, vidsr.api; "
        "assert gc.get_threshold() == before and 'OMP_WAIT_POLICY' not in os.environ"
    )
    alone = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    subprocess.run([sys.executable, "-c", code], check=True, env=alone)


SPINNING = """
import threading, time
import torch
from vidsr import runtime as process
{prepare}

def work():
    for _ in range(60):
        torch.ones(1 << 18).add_(1)
        time.sleep(0.003)

thread = threading.Thread(target=work)
begun = time.process_time()
thread.start()
thread.join()
print(time.process_time() - begun)
"""


def spent(prepare: str) -> float:
    alone = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    alone["OMP_NUM_THREADS"] = str(os.cpu_count())
    command = [sys.executable, "-c", SPINNING.format(prepare=prepare)]
    return min(
        float(subprocess.run(command, capture_output=True, text=True, check=True, env=alone).stdout) for _ in range(2)
    )


@pytest.mark.skipif(sys.platform != "linux" or (os.cpu_count() or 1) < 2, reason="GNU's OpenMP on several processors")
def test_workers_of_a_program_that_loaded_pytorch_before_do_not_spin_while_nothing_is_to_do() -> None:
    spinning = spent("pass")
    if spinning < 0.1:
        pytest.skip("this OpenMP does not spin")
    assert spent("process.wait_briefly()") < spinning / 2


WITHOUT_COMPILER = """
import sys
from vidsr import runtime as process
process.without_compiler()
import torch
from vidsr.models import load_model
assert "torch._prims" not in sys.modules
large = load_model("fast", 2)(torch.rand(1, 1, 8, 8))
assert large.shape == (1, 1, 16, 16)
{then}
assert type(torch._meta_registrations) is type(sys), type(torch._meta_registrations)
assert "torch._prims" in sys.modules
assert (torch.empty(2, 3, device="meta") @ torch.empty(3, 2, device="meta")).shape == (2, 2)
"""


@pytest.mark.parametrize(
    "then",
    [
        "process.with_compiler()",
        "torch._meta_registrations.register_meta",  # somebody asks for something in it
        "assert load_model('fast', 2).kmac_per_pixel > 0",  # PyTorch's counter asks
        "load_model('fast', 2).compiled()",
    ],
)
def test_what_only_the_compiler_of_pytorch_needs_is_loaded_when_it_is_asked_for(then: str) -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_COMPILER.format(then=then)], check=True)


def test_where_pytorch_is_loaded_already_nothing_is_kept_out_of_it() -> None:
    code = (
        "import torch, sys; from vidsr import runtime as process; process.without_compiler(); process.with_compiler(); "
        "assert type(sys.modules['torch._meta_registrations']) is type(sys)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
