"""Exports that are killed at any moment end the same. ``tests/helpers/kill.py`` does this 200 times."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_ten_exports_that_are_killed_and_run_again_end_as_if_nothing_had_happened():
    # In a process of its own: it forks, which no process should do that has worked with threads.
    script = Path(__file__).parents[1] / "helpers" / "kill.py"
    ended = subprocess.run([sys.executable, script, "--rounds", "10"], capture_output=True, text=True, timeout=290)
    assert ended.returncode == 0, ended.stderr
    assert "killed with" in ended.stdout
