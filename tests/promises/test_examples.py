"""Every example runs as it stands and says what it did."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LAST_LINES = {
    "accelerate_train": "the same as without the break: True",
    "augmentation_experiment": "look at augmentation_experiment.png",
    "gpu_tonemap": "mean 0.",
    "hdr_and_sdr_pairs": "is gt within 1 code",
    "lightning_ddp": "the same as without the break: True",
    "own_tone_curve": "look at own_tone_curve.png",
    "ray_train": "the same as without its death: True",
    "read_shards_back": "same as live: True",
    "resume_after_kill": "the same as without the kill: True",
}
"""What the last line holds, where it says that all went well."""
NEEDED = {
    "accelerate_train": "accelerate",
    "lightning_ddp": "lightning",
    "ray_train": "ray",
    "tensorboard_progress": "tensorboard",
}
"""The package that an example is about."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_as_it_stands(example, tmp_path):
    if (needed := NEEDED.get(example.stem)) and not importlib.util.find_spec(needed):
        pytest.skip(f"needs {needed}")
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    told = subprocess.run(
        [sys.executable, str(example)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert LAST_LINES.get(example.stem, "") in told.stdout.splitlines()[-1]
    assert "Traceback" not in told.stderr
    assert "False" not in told.stdout


def test_an_example_fits_on_a_screen():
    for example in EXAMPLES:
        assert len(example.read_text(encoding="utf-8").splitlines()) <= 75, example.name
