"""A script without a ``__main__`` guard is told so in the first line that it prints, and nothing is said at its end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOADER = "loader = hp.PatchLoader(hp.HDRPatchDataset('recipe.json'), 4, num_workers=1{})\n"


def run(script: str, recipe: Any, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "recipe.json").write_text(json.dumps(recipe))
    path = folder / "script.py"
    path.write_text("import torch_hdrpatches as hp\n" + script)
    return subprocess.run([sys.executable, path], cwd=folder, capture_output=True, text=True, timeout=200)


@pytest.mark.parametrize(
    "script",
    [
        LOADER.format(", multiprocessing_context='spawn'") + "next(iter(loader))",
        "hp.export('recipe.json', 'o', workers=2)",
    ],
    ids=["loader", "export"],
)
def test_a_script_without_a_guard_gets_one_line_of_ours_first(small, tmp_path, script):
    done = run(script, small, tmp_path)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("this script starts worker processes while one of them imports it; put the code")
    assert "WorkerDiedError" in lines[-1]


def test_nothing_is_said_when_a_script_ends_in_the_middle_of_an_epoch(small, tmp_path):
    done = run(LOADER.format("") + "batches = iter(loader)\nnext(batches)\nprint('end')", small, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_a_forked_process_says_nothing_of_what_its_parent_was_reading(small, tmp_path):
    script = (
        "import gc, multiprocessing\n"
        + LOADER.format("")
        + "batches = iter(loader)\nnext(batches)\ncycle = [batches]\ncycle.append(cycle)\ndel batches, cycle\n"
        + "child = multiprocessing.get_context('fork').Process(target=gc.collect)\nchild.start()\nchild.join()\n"
        + "print(child.exitcode)"
    )
    done = run(script, small, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
