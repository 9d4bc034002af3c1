"""Free memory: of the machine, and of the container that the process runs in."""

from pathlib import Path

import pytest

from vidsr.runtime.free_memory import default_limit, free_memory

GIB = 1 << 30


def machine(root: Path, available: int, group: str) -> None:
    """Make the files of a machine with ``available`` bytes, whose process is in the cgroups of ``group``."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(
        f"MemTotal: 99999999 kB\nMemAvailable: {available >> 10} kB\nHugePages_Total: 0\n"
    )
    (root / "proc/self/cgroup").write_text(group)


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_a_machine_without_containers_has_its_available_memory(tmp_path: Path) -> None:
    machine(tmp_path, 8 * GIB, "0::/\n")
    assert free_memory(tmp_path) == 8 * GIB
    assert default_limit(tmp_path) == int(0.8 * 8 * GIB)


def test_a_container_has_what_its_cgroup_leaves(tmp_path: Path) -> None:
    machine(tmp_path, 8 * GIB, "0::/docker/abc\n")
    stat = f"anon 5\ninactive_file {GIB}\n"
    group(
        tmp_path / "sys/fs/cgroup/docker/abc",
        memory__max=f"{4 * GIB}\n",
        memory__current=f"{3 * GIB}\n",
        memory__stat=stat,
    )
    group(tmp_path / "sys/fs/cgroup/docker", memory__max="max\n", memory__current="77\n", memory__stat="")
    assert free_memory(tmp_path) == 2 * GIB, "the file cache can be dropped"


def test_an_outer_cgroup_limits_too(tmp_path: Path) -> None:
    machine(tmp_path, 8 * GIB, "0::/pod/box\n")
    group(tmp_path / "sys/fs/cgroup/pod/box", memory__max="max\n", memory__current="1\n", memory__stat="")
    group(tmp_path / "sys/fs/cgroup/pod", memory__max=f"{GIB}\n", memory__current="0\n", memory__stat="")
    assert free_memory(tmp_path) == GIB


@pytest.mark.parametrize(("limit", "expected"), [(2 * GIB, GIB), (9223372036854771712, 8 * GIB)])
def test_the_first_version_of_cgroups(tmp_path: Path, limit: int, expected: int) -> None:
    machine(tmp_path, 8 * GIB, "4:memory:/box\n3:cpu:/\n0::/\n")
    folder = tmp_path / "sys/fs/cgroup/memory/box"
    group(
        folder,
        memory__limit_in_bytes=str(limit),
        memory__usage_in_bytes=str(GIB),
        memory__stat="total_inactive_file 0\n",
    )
    assert free_memory(tmp_path) == expected


def test_without_the_files_of_linux_the_memory_of_the_machine_counts(tmp_path: Path) -> None:
    amount = free_memory(tmp_path)
    assert amount is None or amount > 0
