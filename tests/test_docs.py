"""Commands, options, files, links and examples that the documentation names exist and work."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import vidsr
from vidsr.cli.app import app

REPO = Path(__file__).parents[1]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
ROOT_DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "samples/README.md")
DOCUMENTS = sorted([*(REPO / name for name in ROOT_DOCUMENTS), *(REPO / "docs").rglob("*.md")])
README = (REPO / "README.md").read_text()


def name(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def commands_in(document: Path) -> Iterator[str]:
    """Every vidsr command of the indented blocks, those within pipes of commands too."""
    text = document.read_text().replace("\\\n", " ")
    for line in re.findall(r"^ {4,}(?! *\|)(.*\bvidsr .*)$", text, re.MULTILINE):
        yield from (part.strip() for part in line.partition("#")[0].split("|") if part.strip().startswith("vidsr "))


EXAMPLES = sorted({command for document in DOCUMENTS for command in commands_in(document)})


@pytest.mark.parametrize("line", EXAMPLES)
def test_options_of_every_example_exist(line: str) -> None:
    _, command, *words = shlex.split(line)
    known = {
        option for parameter in COMMANDS[command].params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert {word for word in words if word.startswith("-") and word != "-"} <= known


def test_examples_are_found_in_the_readme_and_the_guide() -> None:
    found = {name(document) for document in DOCUMENTS if any(commands_in(document))}
    assert {"README.md", "docs/training.md", "docs/guide/pipes.md"} <= found


def test_the_readme_names_every_command() -> None:
    table = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", README, re.MULTILINE))))
    assert set(COMMANDS) <= table


def test_the_readme_names_the_two_make_commands() -> None:
    assert "    make demo" in README and "    make test" in README


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (REPO / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", document.read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.name != "CHANGELOG.md"], ids=name)
def test_files_that_are_named_exist(document: Path) -> None:
    paths = re.findall(r"(?<![\w/.-])(?:vidsr|docs|benchmarks|samples|scripts|tests)/[\w./-]*\w", document.read_text())
    assert [path for path in paths if not (REPO / path).exists()] == []


def anchors(document: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_site_lists_every_page() -> None:
    listed = set(re.findall(r": ([\w/-]+\.md)$", (REPO / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {path.relative_to(REPO / "docs").as_posix() for path in (REPO / "docs").rglob("*.md")}
    expected = {page for page in pages if not page.startswith("decisions/0")}
    assert listed == expected, "list every page of docs/ under nav in mkdocs.yml"


def test_the_list_of_decisions_is_complete() -> None:
    folder = REPO / "docs" / "decisions"
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("0*.md"))


def test_the_tree_of_the_architecture_names_every_package() -> None:
    packages = {path.parent.name for path in (REPO / "vidsr").glob("*/__init__.py")}
    tree = (REPO / "ARCHITECTURE.md").read_text().partition("\n## ")[0]
    assert packages <= set(re.findall(r"^ +(\w+)/ ", tree, re.MULTILINE))


@pytest.mark.parametrize(("document", "lines"), [("README.md", 120), ("ARCHITECTURE.md", 150)])
def test_overviews_stay_short(document: str, lines: int) -> None:
    assert len((REPO / document).read_text().splitlines()) <= lines


def test_one_version_everywhere() -> None:
    assert f"\nversion: {vidsr.__version__}\n" in (REPO / "CITATION.cff").read_text()
    assert re.search(r"^## (\S+)", (REPO / "CHANGELOG.md").read_text(), re.MULTILINE)[1] == vidsr.__version__
