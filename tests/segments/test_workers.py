"""How many workers a run uses, and what each of them sees."""

from pathlib import Path

import pytest

from vidsr.errors import Note
from vidsr.segments import workers
from vidsr.segments.begun_job import Need

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
        (0, Need(GB, ("cuda:0", "cuda:1")), None, 4),
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
    assert workers._gpu(0, Need()) == workers._gpu(0, Need(gpus=("mps:0",))) == {}


def test_a_plan_knows_its_memory(tmp_path: Path) -> None:
    from tests.clips import make_clip
    from vidsr.options.enhance import parse_options
    from vidsr.options.paths import Job
    from vidsr.segments.enhance import estimate_need

    clip = make_clip(tmp_path / "a.mp4", 2, size=(64, 48))
    small = estimate_need(Job(clip, None), parse_options(scale=2, model="bicubic"))
    large = estimate_need(Job(clip, None), parse_options(scale=16, model="bicubic"))
    limited = estimate_need(Job(clip, None), parse_options(scale=16, model="bicubic", memory="600M"))
    assert small.memory is not None and large.memory is not None and small.memory < large.memory
    assert limited.memory == 600 << 20 and small.gpus == ()
