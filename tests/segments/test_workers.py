"""How many workers a run uses, and what each of them sees."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.clips import make_clip
from tests.segments.runs import begun, source
from vidsr import device
from vidsr.device import choose, same_gpus
from vidsr.errors import Note, Notes, ignore
from vidsr.options.enhance import parse_options
from vidsr.options.finished import request_digest
from vidsr.options.paths import Job
from vidsr.options.serialize import to_json
from vidsr.pipeline.estimate import plan_file
from vidsr.runtime.worker_pool import WorkerPool
from vidsr.segments import side_by_side, workers
from vidsr.segments.begun_job import Need
from vidsr.segments.job import _changes
from vidsr.segments.side_by_side import Listeners
from vidsr.segments.worker_need import estimate_need

GB = 1 << 30


@pytest.mark.parametrize(
    ("wanted", "need", "most", "expected"),
    [
        (3, Need(GB), None, 3),
        (3, Need(GB), 2, 2),
        (12, Need(GB), None, 10),
        (12, Need(20 * GB), None, 1),
        (12, Need(None), None, 12),
        (0, Need(GB), None, 4),
        (0, Need(GB, ("cuda:0", "cuda:1")), None, 2),
        (0, Need(GB, ("cuda",)), None, 1),
        (0, Need(GB, tuple(f"cuda:{number}" for number in range(8))), None, 8),
    ],
)
def test_the_memory_limits_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch, wanted: int, need: Need, most: int | None, expected: int
) -> None:
    monkeypatch.setattr(workers, "default_limit", lambda: 10 * GB)
    monkeypatch.setattr(workers, "processors", lambda: 32)
    notes: list[Note] = []
    assert workers.number_of_jobs(wanted, need, notes.append, most) == expected
    reduced = expected < min(wanted, most or wanted)
    assert [note.code for note in notes] == ["jobs_reduced"] * (reduced and most is None)
    if notes:
        memory = f"{(need.memory or 0) >> 20}M"
        assert (
            notes[0].text
            == f"--jobs: {expected} instead of 12, as each takes up to {memory} of memory, and 10240M are free"
        )


def test_each_process_sees_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    two = Need(gpus=("cuda:0", "cuda:1"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert [workers._gpu(number, two)["CUDA_VISIBLE_DEVICES"] for number in range(3)] == ["0", "1", "0"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [workers._gpu(number, two)["CUDA_VISIBLE_DEVICES"] for number in range(3)] == ["5", "7", "5"]
    assert workers._gpu(3, Need(gpus=("cuda:1",))) == {"CUDA_VISIBLE_DEVICES": "7"}
    assert workers._gpu(0, Need()) == workers._gpu(0, Need(gpus=("mps:0",))) == {}


def test_each_process_sees_its_own_intel_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several Intel GPUs shared the first."""
    monkeypatch.delenv("ZE_AFFINITY_MASK", raising=False)
    two = Need(gpus=("xpu:0", "xpu:1"))
    assert [workers._gpu(number, two) for number in range(3)] == [{"ZE_AFFINITY_MASK": n} for n in "010"]
    assert workers._gpu(0, Need(gpus=("xpu",))) == {"ZE_AFFINITY_MASK": "0"}


def test_a_device_without_a_number_stands_for_all_gpus_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """--device auto took one of four GPUs, and so did --jobs auto."""
    for count, gpus in ((1, ("cuda",)), (4, ("cuda:0", "cuda:1", "cuda:2", "cuda:3"))):
        monkeypatch.setattr("torch.cuda.device_count", lambda count=count: count)
        assert same_gpus("cuda") == gpus
        assert same_gpus("cuda:1") == ("cuda:1",)


def test_the_processes_share_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, str]] = []
    monkeypatch.setattr(workers, "Worker", lambda function, environment: started.append(environment))
    monkeypatch.setattr(workers, "processors", lambda: 12)
    for jobs, threads in ((1, "12"), (4, "3"), (20, "1")):
        started.clear()
        workers.local_workers(jobs, Need())
        assert started == [{"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}] * jobs


def test_a_plan_knows_its_memory(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", 2, size=(64, 48))
    small = estimate_need([Job(clip, None)], parse_options(scale=2, model="bicubic"))
    large = estimate_need([Job(clip, None)], parse_options(scale=16, model="bicubic"))
    limited = estimate_need([Job(clip, None)], parse_options(scale=16, model="bicubic", memory="600M"))
    assert small.memory is not None and large.memory is not None and small.memory < large.memory
    assert limited.memory == 600 << 20 and small.gpus == ()


def test_the_memory_of_a_folder_is_that_of_its_largest_frames_whatever_their_bytes(tmp_path: Path) -> None:
    """A long clip of small frames has more bytes than a short one of large frames."""
    import cv2
    import numpy as np

    options = parse_options(scale=2, model="bicubic")
    small = Job(make_clip(tmp_path / "long.mkv", 60, size=(64, 48), codec="ffv1"), None)
    large = Job(make_clip(tmp_path / "short.mp4", 1, size=(1280, 720)), None)
    assert small.source.stat().st_size > large.source.stat().st_size
    (tmp_path / "bad.mp4").write_bytes(b"no clip" * 100_000)
    cv2.imwrite(str(tmp_path / "still.png"), np.zeros((3000, 4000), np.uint8))
    bad, still = Job(tmp_path / "bad.mp4", None), Job(tmp_path / "still.png", None)
    alone = {job.source.name: estimate_need([job], options).memory or 0 for job in (small, large, bad, still)}
    assert alone["bad.mp4"] == 0 < alone["long.mkv"] < alone["short.mp4"] < alone["still.png"]
    assert estimate_need([bad, small, large], options).memory == alone["short.mp4"]
    assert estimate_need([small, bad, still, large], options).memory == alone["still.png"]


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs, of which a process sees those in the environment of the driver."""

    def visible() -> int:
        chosen = os.environ.get("CUDA_VISIBLE_DEVICES", "0,1")
        return len(chosen.split(","))

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(device.GPUS, "cuda", ("CUDA", lambda: True, visible))
    monkeypatch.setattr("torch.cuda.device_count", visible)


@pytest.mark.parametrize(
    ("named", "gpus"),
    [
        ("cuda:0,cuda:1", ("cuda:0", "cuda:1")),
        ("cuda:1,cuda:0", ("cuda:1", "cuda:0")),
        ("cuda:1", ("cuda:1",)),
        ("cuda", ("cuda:0", "cuda:1")),
        ("auto", ("cuda:0", "cuda:1")),
        ("cpu", ()),
    ],
)
@pytest.mark.parametrize("model", ["fast", "balanced-t"])
def test_a_worker_plans_for_the_only_gpu_that_it_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, two_gpus: None, named: str, gpus: tuple[str, ...], model: str
) -> None:
    """A worker looked for the second GPU of a list, and for --device cuda:1, where it saw one: every file failed."""
    clip = Job(make_clip(tmp_path / "a.mkv", 2, size=(32, 32)), None)
    options = parse_options(scale=4, model=model, device=named, domain="clean")
    need = estimate_need([clip], options)
    assert need.gpus == gpus
    submitted: list[Any] = []

    class Recorder(WorkerPool):
        def submit(self, key: Any, order: Any, *arguments: Any) -> None:
            submitted.append(arguments[0])

    monkeypatch.setattr(side_by_side, "_estimated_need", lambda *_: need)
    monkeypatch.setattr(workers, "WorkerPool", Recorder)
    monkeypatch.setattr(workers, "local_workers", lambda *_: [])
    assert list(side_by_side.enhance_side_by_side([clip], options, Listeners(ignore, ignore, ignore))) == []
    (task,) = submitted
    assert request_digest(task.options) == request_digest(options), "a later run knows the output"
    with workers.open_pool(options, need, tmp_path, ignore, ignore) as (_, own):
        assert own == ("cuda" if gpus else "")
    for number, gpu in enumerate(gpus):
        with monkeypatch.context() as patch:
            for name, value in workers._gpu(number, need).items():
                patch.setenv(name, value)
            assert os.environ["CUDA_VISIBLE_DEVICES"] == gpu.removeprefix("cuda:")
            plan = plan_file(task.job, task.options, Notes())
            assert [network.device for network in plan.networks] == ["cuda"]
            assert choose(own, "auto").device.index in (None, 0)


def test_another_gpu_of_the_same_kind_continues_a_job(tmp_path: Path, two_gpus: None) -> None:
    clip = source(tmp_path, size=(32, 16))
    for named, gpus, own in (
        ("cuda:0,cuda:1", ("cuda:0", "cuda:1"), ""),
        ("cuda:0,cuda:1", ("cuda:0", "cuda:1"), ""),
        ("cuda:1", ("cuda:1",), "cuda:1"),
    ):
        job = begun(clip, scale=2, model="fast", device=named)
        assert (job.need.gpus, job.device) == (gpus, own)
    options = [to_json(parse_options(scale=2, device=named)) for named in ("cuda:0", "cpu")]
    assert list(_changes(*options)) == [("device", "cuda", "cpu")]
