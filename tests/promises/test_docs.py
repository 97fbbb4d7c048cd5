"""The documentation builds without a warning, its links lead somewhere, and its code blocks do what they say."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

import torch_hdrpatches
from torch_hdrpatches import cli, errors
from torch_hdrpatches.sampling import scene

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
NOT_RUN = "<!-- not run"
"""A comment above a block that is not run: what it needs that is not here."""
BLOCK = re.compile(r"(<!-- not run[^\n]*\n)?```(python|console)\n(.*?)```", re.DOTALL)


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Language and text of the blocks to run."""
    found = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    return [(language, block) for mark, language, block in found if not mark]


@pytest.fixture
def folder(demo, tmp_path, monkeypatch):
    """Where a reader is who has run ``hdrpatches demo demo``."""
    (tmp_path / "demo").mkdir()
    for path in (demo / "demo").iterdir():
        (tmp_path / "demo" / path.name).symlink_to(path)
    recipe = tmp_path / "demo" / "recipe.toml"
    recipe.unlink()
    shutil.copy2(demo / "demo" / "recipe.toml", recipe)  # a page may write beside it
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(block: str) -> list[list[str]]:
    return [shlex.split(line, comments=True) for line in block.splitlines() if line.strip()]


def run_block(language: str, block: str, namespace: dict[str, object]) -> None:
    if language == "python":
        exec(compile(block, "block", "exec"), namespace)
        return
    for command in commands(block):
        assert command[0] == "hdrpatches", f"mark a block that cannot be run with {NOT_RUN} ... -->: {command}"
        code = cli.app(command[1:], standalone_mode=False)
        assert code in (None, 0), command


@pytest.mark.filterwarnings("ignore:unclosed file .*[.]tar:ResourceWarning")  # webdataset leaves files open
@pytest.mark.parametrize(
    "page", [page for page in [f"docs/{name}" for name in PAGES] + ["README.md"] if blocks_of(page)]
)
def test_every_code_block_of_a_page_runs_in_order(page, folder):
    namespace: dict[str, object] = {"__name__": "page"}
    for language, block in blocks_of(page):
        run_block(language, block, namespace)


@pytest.mark.parametrize("page", [f"docs/{page}" for page in PAGES] + ["README.md", "CONTRIBUTING.md"])
def test_every_command_that_is_shown_exists_with_its_options(page):
    known = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
    for line in re.findall(r"^hdrpatches .*$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE):
        words = shlex.split(line, comments=True)
        options = {name for parameter in known[words[1]].params for name in parameter.opts}
        assert {word for word in words[2:] if word.startswith("-")} <= options, line


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_a_page_outside_of_the_site_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_the_site_builds_without_a_warning_and_every_page_is_in_it(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=200, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert built.returncode == 0, built.stderr
    start = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert {f'href="{page[:-3]}.html"' for page in PAGES if page != "index.md"} <= set(
        re.findall(r'href="[^"]+"', start)
    )
    assert "timestamps_per_movie" in (tmp_path / "recipe.html").read_text(encoding="utf-8")


def troubleshooting() -> str:
    return (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")


def test_troubleshooting_names_every_error_and_every_reason():
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and name.endswith("Error")}
    reasons = {reason for reason in scene.Reason.__args__ if reason}
    missing = {name for name in classes | reasons if f"`{name}`" not in troubleshooting()}
    assert missing == set()


def test_messages_in_troubleshooting_are_those_of_the_package():
    said = ""
    for path in Path(torch_hdrpatches.__file__).parent.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        said += "\n".join(str(node.value) for node in nodes if isinstance(node, ast.Constant))
    rows = [row for row in troubleshooting().splitlines() if row.startswith("| `") and "(PyTorch)" not in row]
    quoted = [part for row in rows for part in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    pieces = [piece.strip() for part in quoted for piece in part.split("...") if len(piece.strip()) > 3]
    assert len(pieces) > 60
    assert [piece for piece in pieces if piece not in said and not hasattr(errors, piece)] == []
