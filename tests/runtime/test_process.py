"""Process settings of the command line; importing vidsr changes none."""

import os
import subprocess
import sys

import pytest

from tests.tiers import slow

FAULTS_SCRIPT = """
import resource
from vidsr.runtime import process
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
    code = FAULTS_SCRIPT.format(prepare=prepare)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


GAPS_SCRIPT = """
import numpy as np
from vidsr.runtime import process
process.keep_freed_memory()
before = [np.ones(1 << 20, np.uint8) for _ in range(100)]  # before the limit is known
last = np.ones(1 << 20, np.uint8)
del before
{prepare}
planes = [np.ones((20 if n % 2 else 1) << 20, np.uint8) for n in range(20)]
del planes[1::2]
print(sum(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")) // 1024)
"""


def resident_after_gaps(prepare: str) -> int:
    """Return the MB that a process holds after 300 MB of large planes between small ones are freed."""
    code = GAPS_SCRIPT.format(prepare=prepare)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_large_planes_reuse_the_memory_of_the_previous_frame() -> None:
    kept = page_faults("process.keep_freed_memory()")
    if kept < 0:
        pytest.skip("not glibc")
    assert kept < page_faults("None") / 5


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_gaps_between_large_planes_are_returned_where_memory_is_limited() -> None:
    assert (
        resident_after_gaps("process.keep_freed_memory(True)")
        < 200
        < resident_after_gaps("process.keep_freed_memory()")
    )


def test_importing_vidsr_leaves_process_settings_alone() -> None:
    code = (
        "import gc, os; before = gc.get_threshold(); import vidsr, vidsr.api; "
        "assert gc.get_threshold() == before and 'OMP_WAIT_POLICY' not in os.environ"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


CPU_TIME_SCRIPT = """
import threading, time
import torch
from vidsr.runtime import process
{prepare}

def work():
    for _ in range(60):
        torch.ones(1 << 18).add_(1)
        time.sleep(0.003)

thread = threading.Thread(target=work)
started = time.process_time()
thread.start()
thread.join()
print(time.process_time() - started)
"""


def cpu_seconds(prepare: str) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    environment["OMP_NUM_THREADS"] = str(os.cpu_count())
    command = [sys.executable, "-c", CPU_TIME_SCRIPT.format(prepare=prepare)]
    return min(
        float(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)
        for _ in range(2)
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or (os.cpu_count() or 1) < 2, reason="GNU's OpenMP on several processors")
def test_idle_workers_do_not_spin_in_a_program_that_loaded_pytorch_first() -> None:
    spinning = cpu_seconds("pass")
    if spinning < 0.1:
        pytest.skip("this OpenMP does not spin")
    assert cpu_seconds("process.stop_openmp_spinning()") < spinning / 2


DEFERRED_SCRIPT = """
import sys
from vidsr.runtime import process
process.defer_torch_compiler()
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
        slow("process.load_torch_compiler()"),
        slow("torch._meta_registrations.register_meta"),  # attribute access
        slow("assert load_model('fast', 2).kmac_per_pixel > 0"),  # PyTorch's FLOP counter imports it
        "load_model('fast', 2).compiled()",
    ],
)
def test_deferred_compiler_modules_load_at_first_use(then: str) -> None:
    subprocess.run([sys.executable, "-c", DEFERRED_SCRIPT.format(then=then)], check=True)


def test_deferring_the_compiler_does_nothing_once_pytorch_is_loaded() -> None:
    code = (
        "import torch, sys; from vidsr.runtime import process; "
        "process.defer_torch_compiler(); process.load_torch_compiler(); "
        "assert type(sys.modules['torch._meta_registrations']) is type(sys)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
