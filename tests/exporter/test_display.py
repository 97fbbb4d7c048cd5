"""The progress of an export or a report as people see it: live at a terminal, and as lines or not at all elsewhere."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.helpers.exports import check_finished_files
from torch_hdrpatches import Recipe, export
from torch_hdrpatches.exporter import Progress
from torch_hdrpatches.exporter.display import ProgressBars, as_html, line, shown
from torch_hdrpatches.exporter.progress import CategoryProgress
from torch_hdrpatches.sampling import Tally


@pytest.fixture
def resolved(recipe: dict[str, Any]) -> Recipe:
    recipe["categories"]["space"]["target"] = 3
    return Recipe.from_dict(recipe).resolved()


@pytest.fixture
def state() -> Progress:
    tally = Tally()
    tally.rejects["pq", "cut"] = 4
    categories = (CategoryProgress("master", 30, 90, 2.0), CategoryProgress("<space>", 5, 5, 0.5))
    return Progress(10.0, tally, categories, ("pq",), 2, "commit")


def test_progress_as_one_line(state):
    assert line(state) == (
        "master 30/90, <space> 5/5; 2.5 samples/s, 30 s left; refused 4 cut; 2 finished jobs wait for an earlier job"
    )


def test_progress_as_bars_and_in_a_notebook(state):
    console = Console(file=io.StringIO(), width=100)
    console.print(ProgressBars(lambda: state, console))
    for text in (console.file.getvalue(), as_html(state)):  # type: ignore[attr-defined]
        assert all(part in text for part in ("master", "30 of 90", "2.0/s", "30 s left", "reading pq", "refused 4 cut"))
    assert '<progress max="90" value="30">' in as_html(state)
    assert "&lt;space&gt;" in as_html(state)


def test_commands_print_a_line_after_a_commit_if_there_is_no_terminal(resolved, capsys):
    with shown(resolved, Tally()) as tracker:
        tracker.committed(Tally())
    assert "samples/s" in capsys.readouterr().err


def command(recipe: Recipe, folder: Path) -> list[str]:
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    return [
        sys.executable,
        "-m",
        "torch_hdrpatches.cli",
        "export",
        str(folder / "recipe.json"),
        str(folder / "out"),
    ]


def test_without_a_terminal_progress_is_plain_lines_beside_the_tally(resolved, tmp_path):
    done = subprocess.run(command(resolved, tmp_path), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "samples/s" in done.stderr
    assert "samples/s" not in done.stdout


def at_a_terminal(command: list[str], interrupt_when: bytes = b"") -> tuple[bytes, int]:
    """What a command prints on stderr at a terminal, and its exit code."""
    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=child,
        env=environment,
        start_new_session=True,
        # A shell that starts tests in the background ignores SIGINT, and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as run:
        os.close(child)
        printed = b""
        while True:
            try:
                printed += os.read(parent, 65536)
            except OSError:  # the other end is closed
                break
            if interrupt_when and interrupt_when in printed:
                os.killpg(run.pid, signal.SIGINT)  # a terminal sends it to all processes
                interrupt_when = b""
    os.close(parent)
    return printed, run.returncode


def test_at_a_terminal_progress_is_redrawn_in_place(resolved, tmp_path):
    printed, code = at_a_terminal(command(resolved, tmp_path))
    assert code == 0
    assert b"of 17" in printed
    assert b"\x1b[2K" in printed


def in_python(recipe: Recipe, folder: Path, more: str = "") -> list[str]:
    """A program that exports."""
    (folder / "recipe.json").write_text(recipe.model_dump_json())
    call = f"export({str(folder / 'recipe.json')!r}, {str(folder / 'out')!r}{more})"
    return [sys.executable, "-c", f"from torch_hdrpatches import export; {call}"]


def test_at_a_terminal_a_program_shows_its_progress_unless_it_says_no(resolved, tmp_path):
    for folder in ("shown", "silent", "called"):
        (tmp_path / folder).mkdir()
    assert b"of 17" in at_a_terminal(in_python(resolved, tmp_path / "shown"))[0]
    assert at_a_terminal(in_python(resolved, tmp_path / "silent", ", progress=False")) == (b"", 0)
    assert at_a_terminal(in_python(resolved, tmp_path / "called", ", progress=lambda tally: None")) == (b"", 0)


def test_ctrl_c_in_a_program_ends_the_display_and_loses_no_finished_job(three, tmp_path):
    three["sampling"]["timestamps_per_movie"] *= 4  # so that the export is still running when the signal comes
    recipe = Recipe.from_dict(three)
    printed, code = at_a_terminal(in_python(recipe, tmp_path, ", workers=2"), interrupt_when=b"reading")
    assert code == -signal.SIGINT
    assert printed.rstrip().endswith(b"KeyboardInterrupt")
    assert printed.rindex(b"\x1b[?25h") > printed.rindex(b"\x1b[?25l")  # the cursor is there again
    check_finished_files(tmp_path / "out")
    export(recipe, tmp_path / "out")


def test_without_a_terminal_a_program_is_silent_unless_it_asks(resolved, tmp_path, capfd):
    export(resolved, tmp_path / "silent")
    assert capfd.readouterr() == ("", "")
    export(resolved, tmp_path / "asked", progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "samples/s" in err
