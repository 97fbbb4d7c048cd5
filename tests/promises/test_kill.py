"""Exports killed at random moments and resumed give the same folder; ``tests/helpers/kill.py`` does 200 rounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_ten_exports_that_were_killed_and_resumed_have_the_bytes_of_undisturbed_ones():
    # In a process of its own, because it forks, which is not safe in a process that has started threads.
    script = Path(__file__).parents[1] / "helpers" / "kill.py"
    ended = subprocess.run([sys.executable, script, "--rounds", "10"], capture_output=True, text=True, timeout=290)
    assert ended.returncode == 0, ended.stderr
    assert "killed with" in ended.stdout
