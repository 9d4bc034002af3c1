"""Fixtures of every test: no thread left behind, few worker threads, the data folder where it exists."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Set before torch, OpenCV or Numba start their pools: small frames on many cores spend their time waiting.
PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))  # test processes that share the processors
WORKERS = str(max(1, min(4, (os.cpu_count() or 1) // PROCESSES)))
os.environ.setdefault("OMP_NUM_THREADS", WORKERS)
os.environ.setdefault("NUMBA_NUM_THREADS", WORKERS)
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the command line

REPO = Path(__file__).parents[1]
POOLS = ("vidsr-kernels",)  # live as long as the process, like those of torch, OpenCV and Numba
THREAD_GRACE = 2.0  # seconds in which a stopped thread must end


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked gpu without CUDA; VIDSR_REQUIRE_GPU=1 lets them fail instead, so no skip is an accident."""
    gpu_tests = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu_tests or os.environ.get("VIDSR_REQUIRE_GPU"):
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu_tests:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail a test that leaves a thread running."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + THREAD_GRACE
    while (left := _started_since(before)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left, f"threads left running: {left}"


def _started_since(before: set[threading.Thread]) -> list[str]:
    # a thread of FFmpeg that logs once has a stand-in in Python, which stays after the thread ends
    started = {one for one in set(threading.enumerate()) - before if not isinstance(one, threading._DummyThread)}
    return sorted(thread.name for thread in started if not thread.name.startswith(POOLS))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of test and training data: VIDSR_DATA, or ../shared/data."""
    folder = Path(os.environ.get("VIDSR_DATA", REPO.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; name one with VIDSR_DATA")
    return folder


@pytest.fixture(scope="session")
def repro(data: Path) -> Path:
    """The folder of clips that showed a defect, next to the data folder."""
    folder = data.parent / "repro"
    if not folder.is_dir():
        pytest.skip(f"no folder of defective clips at {folder}")
    return folder


@pytest.fixture(scope="session")
def samples() -> Path:
    """The clips that ship with the repository."""
    return REPO / "samples"
