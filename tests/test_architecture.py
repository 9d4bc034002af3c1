"""Rules about imports that a linter of layers does not know."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vidsr

PACKAGE = Path(vidsr.__file__).parent
WRITES = re.compile(r"(.*\.)?(write_text|write_bytes|imwrite|open)|save_file|(torch|np)\.save\w*")  # functions
NEW_FILE = re.compile(r"[\"'][wxa]b?[\"']|O_CREAT|save|write")  # in a call of one that writes
UNFINISHED = re.compile(r"\bpart\b|BytesIO")  # of an OutputFile, before it has its name; memory
WRITE_OTHERWISE = {  # file -> why it does not write through an OutputFile
    "runtime/output_file.py": "it is the way",
    "runtime/log_file.py": "grows line by line",
    "train/watch.py": "losses.csv grows too",
    "segments/folder_lock.py": "the lock of a folder of vidsr",
    "video/animated_webp.py": "writes to memory",
    "options/document.py": "writes the documentation of the repository",
}
IMPORTED_AS = {"cv2": "opencv-python-headless"}  # import name -> distribution


def imported_by(path: Path) -> set[str]:
    """Top-level names of the packages that a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def modules_of(*parts: str) -> list[str]:
    files = sorted(path for part in parts for path in (PACKAGE / part).rglob("*.py"))
    return [
        ".".join(("vidsr", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
        for path in files
    ]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("av", ("video/", "runtime/encoders.py")),
        ("typer", "cli/"),
        ("rich", ("cli/", "train/progress.py", "train/watch.py")),
        ("threading", "runtime/concurrency.py"),
        ("concurrent", ("kernels/workers.py", "runtime/concurrency.py")),
        ("multiprocessing", "nowhere"),
    ],
)
def test_only_some_files_import(package: str, allowed: str | tuple[str, ...]) -> None:
    files = [str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if package in imported_by(path)]
    assert [file for file in files if not file.startswith(allowed)] == []


def test_every_import_is_declared() -> None:
    # The development environment holds more than a user's: what only the dev extra brings must not be imported.
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = [name for extra, names in project["optional-dependencies"].items() if extra != "dev" for name in names]
    declared = {re.split(r"[^\w-]", name)[0] for name in project["dependencies"] + extras}
    imported = {name for path in PACKAGE.rglob("*.py") for name in imported_by(path)}
    third_party = {IMPORTED_AS.get(name, name) for name in imported - sys.stdlib_module_names - {"vidsr"}}
    assert not third_party - declared


def test_networks_and_training_import_without_av_cv2_numba() -> None:
    # A machine that only trains has shards and torch; train.prepare, which reads clips and images, runs elsewhere.
    names = modules_of("models", "train")
    modules = [n for n in names if not n.endswith(".orbit_kernels") and not n.startswith("vidsr.train.prepare")]
    blocked = "import sys; sys.modules.update(dict.fromkeys(('av', 'cv2', 'numba')))"
    done = run(f"{blocked}\nimport importlib\nfor name in {modules}: importlib.import_module(name)")
    assert done.returncode == 0, done.stderr


def test_networks_and_training_import_neither_av_nor_cv2_where_they_are_installed() -> None:
    modules = [name for name in modules_of("models", "train") if not name.startswith("vidsr.train.prepare")]
    done = run(
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
        "sys.exit(', '.join({'av', 'cv2'} & set(sys.modules)) or 0)"
    )
    assert done.returncode == 0, done.stderr


def test_the_import_contract_of_training_names_every_module_but_prepare() -> None:
    contracts = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [c for c in contracts if c["type"] == "forbidden" and "vidsr.models" in c["source_modules"]]
    top_level = {".".join(name.split(".")[:3]) for name in modules_of("train")} - {"vidsr.train", "vidsr.train.prepare"}
    assert top_level <= set(contract["source_modules"])


@pytest.mark.parametrize(("words", "shown"), [((), "enhance"), (("enhance",), "--scale"), (("bench",), "--baselines")])
def test_help_imports_nothing_heavy(words: tuple[str, ...], shown: str) -> None:
    code = f"""
import sys
from vidsr.cli.app import main
sys.argv = ["vidsr", *{words!r}, "--help"]
try:
    main()
except SystemExit:
    pass
print(sorted({{"torch", "numba", "cv2", "av", "numpy"}} & set(sys.modules)), file=sys.stderr)
"""
    done = run(code)
    assert done.stderr.strip() == "[]"
    assert shown in done.stdout


def calls_that_write(path: Path) -> list[str]:
    """Source of each call in a file that writes a file under a name of its own."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    texts = [ast.unparse(call) for call in calls if WRITES.fullmatch(ast.unparse(call.func))]
    return [text for text in texts if NEW_FILE.search(text) and not UNFINISHED.search(text)]


def test_every_file_is_written_under_an_unfinished_name() -> None:
    """Files were destroyed by ``.part`` names, reports, scores and shards: each had its own way to write."""
    found = {str(path.relative_to(PACKAGE)): calls_that_write(path) for path in PACKAGE.rglob("*.py")}
    assert {name: calls for name, calls in found.items() if calls and name not in WRITE_OTHERWISE} == {}
    assert all(found[name] for name in WRITE_OTHERWISE)
