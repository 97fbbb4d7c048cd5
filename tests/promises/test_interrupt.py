"""Ctrl-C ends an export within ten seconds, says how to resume it, and loses no finished job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from tests.helpers.exports import check_finished_files, differing, tree
from torch_hdrpatches import export


@pytest.mark.parametrize(("workers", "times"), [(1, 1), (2, 1), (1, 2), (2, 3)])
def test_ctrl_c_ends_an_export_within_ten_seconds_and_says_how_to_resume(three, tmp_path, workers, times):
    recipe, out = tmp_path / "recipe.json", tmp_path / "out"
    three["sampling"]["timestamps_per_movie"] *= 4  # so that the export is still running when the signal comes
    three["categories"]["two"].pop("target")
    three["categories"]["three"].pop("target")
    recipe.write_text(json.dumps(three))
    exporting = subprocess.Popen(
        [sys.executable, "-m", "torch_hdrpatches.cli", "export", recipe, out, "--workers", str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts tests in the background ignores SIGINT, and children inherit that.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    while not list(out.glob(".work/job-*.json")) and not list(out.glob("*/*.tar")):
        assert exporting.poll() is None, exporting.communicate()
        time.sleep(0.005)
    start = time.monotonic()
    for _ in range(times):
        os.killpg(exporting.pid, signal.SIGINT)  # a terminal sends it to all processes
        time.sleep(0.03)
    _, errors = exporting.communicate(timeout=60)
    assert time.monotonic() - start < 10
    assert exporting.returncode == 130
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1] == "interrupted; run the same command again to resume"
    check_finished_files(out)
    assert times > 1 or not list(out.rglob(".*.tmp"))
    export(three, out, workers=2)
    export(three, tmp_path / "whole", workers=2)
    assert differing(tree(out), tree(tmp_path / "whole")) == []
