"""Segments on a real Ray cluster of three nodes on this machine; skipped where Ray is not installed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import pytest

from tests.clips import make_clip
from tests.commands import run_vidsr
from tests.segments.runs import run, source
from vidsr.errors import ExitCode, OptionError, VidsrError
from vidsr.segments.begun_job import Need
from vidsr.segments.ray_cluster import RayWorker, TaskActor

OPTIONS: dict[str, Any] = {"codec": "libx264", "cpus_per_worker": 1}
STORE = 80 << 20  # bytes of each node's object store


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")  # on a busy machine
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    nodes.added = [nodes.add_node(num_cpus=1, object_store_memory=STORE) for _ in range(2)]
    yield nodes
    nodes.shutdown()


def test_without_ray_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"--ray needs the package ray, .*: pip install ray"):
        run(source(tmp_path), tmp_path / "out.mp4", ray="auto", **OPTIONS)


def test_an_address_that_nobody_answers_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    with pytest.raises(OptionError, match=r"--ray 127.0.0.1:1 cannot be reached \(.*refused\)"):
        run(source(tmp_path), tmp_path / "out.mp4", ray="127.0.0.1:1", **OPTIONS)


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_writes_the_same_bytes(cluster: Any, tmp_path: Path) -> None:
    clip = source(tmp_path)
    run(clip, tmp_path / "alone.mp4", **OPTIONS)
    run(clip, tmp_path / "out.mp4", ray=cluster.address, **OPTIONS)
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()


WITHOUT_CLUSTER = """
import functools, sys
from ray._private import services
services.find_gcs_addresses = functools.cache(lambda: set())  # no other cluster of this machine
from vidsr.cli.app import main
sys.argv[0] = "vidsr"
main()
"""


@pytest.mark.slow
def test_auto_starts_a_cluster_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    clip = source(tmp_path)
    run(clip, tmp_path / "alone.mp4", **OPTIONS)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")  # on a busy machine
    words = ["enhance", clip, "-o", tmp_path / "out.mp4", "--scale", "2", "--model", "bicubic", "--codec", "libx264"]
    words += ["--segment", "1s", "--ray", "auto", "--cpus-per-worker", "1"]
    with TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as ray_folder:  # short, as sockets lie there
        monkeypatch.setenv("RAY_TMPDIR", ray_folder)
        done = subprocess.run([sys.executable, "-c", WITHOUT_CLUSTER, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert list(Path(ray_folder).glob("ray/session_*"))
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_node_and_a_worker_that_end_in_the_middle(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    clip = source(tmp_path)
    run(clip, tmp_path / "alone.mp4", "0.5s", **OPTIONS)
    call, started = RayWorker.call, []

    def call_and_end(self: Any, task: Any, *, on_event: Any) -> Any:
        started.append(task.index)
        if len(started) == 2:
            ray.kill(self._actor)
        elif len(started) == 4:
            cluster.remove_node(cluster.added.pop())
        return call(self, task, on_event=on_event)

    monkeypatch.setattr(RayWorker, "call", call_and_end)
    run(clip, tmp_path / "out.mp4", "0.5s", ray=cluster.address, **OPTIONS)
    assert len(started) > len(set(started))
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_folder_on_a_cluster(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source(tmp_path / "in", "b.mkv")
    make_clip(tmp_path / "in" / "a.mkv", 2, size=(64, 48))
    (tmp_path / "in" / "c.mkv").write_bytes(b"no clip")
    command = ("enhance", tmp_path / "in", "--scale", "2", "--model", "nearest", "--segment", "1s")
    turn = run_vidsr(*command, "-o", tmp_path / "turn")
    more = ("--ray", cluster.address, "--cpus-per-worker", "1")
    result = run_vidsr(*command, "-o", tmp_path / "out", *more)
    assert turn.returncode == result.returncode == ExitCode.SOME_FAILED, result.stderr
    assert "2 of 3 files enhanced, 1 failed" in result.stderr
    for path in (tmp_path / "turn").glob("*.mkv"):
        assert (tmp_path / "out" / path.name).read_bytes() == path.read_bytes()


def test_a_cluster_without_room_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from contextlib import contextmanager

    from vidsr.segments import ray_cluster

    nodes = [{"Alive": True, "Resources": {"CPU": 8.0, "memory": 4e9}}, {"Alive": False, "Resources": {"CPU": 64.0}}]
    actor = SimpleNamespace(options=lambda **_: SimpleNamespace(remote=None))

    @contextmanager
    def connected(_: str) -> Iterator[Any]:
        yield SimpleNamespace(nodes=lambda: nodes, remote=lambda _: actor)

    monkeypatch.setattr(ray_cluster, "_connected", connected)
    for processors, memory, workers in ((2, 10**9, 4), (1, 10**9, 4), (4, 10**9, 2), (16, 10**9, 0), (1, 5 * 10**9, 0)):
        need = Need(memory)
        if workers:
            with ray_cluster.ray_workers("auto", processors, need, tmp_path, None) as found:
                assert len(found) == workers
            continue
        with (
            pytest.raises(
                OptionError, match=rf"no machine of the cluster has {processors} processors and \d+M of memory"
            ),
            ray_cluster.ray_workers("auto", processors, need, tmp_path, None),
        ):
            pass


class BusyCluster:
    """Answers `ray.wait` as a cluster that has no room the first time."""

    class exceptions:
        class RayError(Exception):
            """Of Ray."""

    def __init__(self, problem: str = "") -> None:
        self.waits, self.problem = 0, problem

    def wait(self, calls: list[Any], timeout: float) -> tuple[list[Any], list[Any]]:
        self.waits += 1
        return ([], calls) if self.waits < 3 else (calls, [])

    def get(self, call: Any) -> str:
        return self.problem

    def actor(self) -> Any:
        check = SimpleNamespace(remote=lambda *_: "call")
        return SimpleNamespace(check=check)


@pytest.mark.parametrize("others_work", [False, True])
def test_a_run_says_that_it_waits_while_no_worker_has_room(tmp_path: Path, others_work: bool) -> None:
    notes: list[str] = []
    workers: list[RayWorker] = []
    workers += [RayWorker(BusyCluster(), BusyCluster().actor, tmp_path, workers, "8 processors") for _ in range(2)]
    if others_work:
        workers[1].prepare(lambda note: notes.append(f"second: {note}"))
    workers[0].prepare(lambda note: notes.append(note.text))
    said = ["waiting for the Ray cluster: no machine has 8 processors free at present"]
    assert notes == ([] if others_work else said)


def test_a_machine_that_cannot_do_the_work_is_one_line(tmp_path: Path) -> None:
    from vidsr import __version__

    cwd = Path.cwd()
    try:
        assert TaskActor().check(__version__, tmp_path, tmp_path) == ""
        assert "does not see /nowhere/a.mp4: use a file system" in TaskActor().check(
            __version__, tmp_path, Path("/nowhere/a.mp4")
        )
        problem = TaskActor().check("9.9", tmp_path, tmp_path)
        assert problem == f"has vidsr {__version__}, and the job was planned by 9.9: install the same version"
    finally:
        os.chdir(cwd)
    cluster = BusyCluster(problem)
    with pytest.raises(VidsrError, match=r"^a machine of the cluster has vidsr"):
        RayWorker(cluster, cluster.actor, tmp_path, [], "8 processors").prepare()
