"""Kills exports at random moments, and checks that the same command again gives the same bytes.

    python tests/helpers/kill.py --rounds 200

Each round starts ``hdrpatches export`` with two processes and kills the whole process group a few milliseconds after a
random number of files was written; every fourth round does so twice. Then the same command runs to its end. After every
kill each file with its final name must be complete and match its sidecar. In the end the folder must be byte for byte
that of an undisturbed export, except for the time in the manifest.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.helpers.exports import check_finished_files, differing, three_movies, tree
from torch_hdrpatches import cli
from torch_hdrpatches.rng import rng_at

TIMEOUT_SECONDS = 900.0
"""For one export."""


def started(recipe: Path, folder: Path, workers: int) -> int:
    """Start an export in a process group of its own; forked, so that imports are done already. Returns its pid."""
    if process := os.fork():
        return process
    os.setsid()
    log = os.open(folder.with_suffix(".log"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ["hdrpatches", "export", str(recipe), str(folder), "--workers", str(workers)]
    try:
        cli.main()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    finally:
        os._exit(1)


def ended(process: int) -> int | None:
    """The exit code of a process (negative: the signal that killed it), or None if it runs."""
    found, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def finished(recipe: Path, folder: Path, workers: int) -> None:
    """Run an export to its end."""
    process = started(recipe, folder, workers)
    end = time.monotonic() + TIMEOUT_SECONDS
    while (code := ended(process)) is None:
        assert time.monotonic() < end, "an export does not end"
        time.sleep(0.01)
    assert code == 0, folder.with_suffix(".log").read_text()


def written(folder: Path) -> int:
    """The number of all files in a folder."""
    return sum(len(names) for _, _, names in os.walk(folder))


def killed(recipe: Path, folder: Path, workers: int, files: int, seconds: float) -> str:
    """Kill an export ``seconds`` after it has written ``files`` files; returns its state in words."""
    before = written(folder)
    process = started(recipe, folder, workers)
    while (os.getpgid(process) != process) or written(folder) < files:
        if ended(process) is not None:
            return "ended before the kill"
        time.sleep(0.004)
    time.sleep(seconds if before < files else 20 * seconds)
    os.killpg(process, signal.SIGKILL)
    if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != -signal.SIGKILL:
        return "ended before the kill"
    tars = check_finished_files(folder)
    return "killed with the manifest there" if (folder / "manifest.json").exists() else f"killed with {tars:2d} shards"


def kill_rounds(rounds: range, workers: int = 2) -> Counter[str]:
    """Run these rounds; returns how often an export was killed in which state.

    Raises:
        AssertionError: names a round that gave other bytes.
    """
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        recipe, out = Path(scratch) / "recipe.json", Path(scratch) / "out"
        recipe.write_text(json.dumps(three_movies(Path(scratch))))
        finished(recipe, Path(scratch) / "whole", 1)
        whole = tree(Path(scratch) / "whole")
        for number in rounds:
            rng = rng_at("kill", number)
            for _ in range(1 + (number % 4 == 3)):
                files = int(rng.integers(1, len(whole) + 1))
                found[killed(recipe, out, workers, files, float(rng.uniform(0, 0.03)))] += 1
            finished(recipe, out, 1 + number % 2 * (workers - 1))
            if others := differing(tree(out), whole):
                kept = shutil.copytree(scratch, Path(tempfile.mkdtemp(prefix="killed-")), dirs_exist_ok=True)
                raise AssertionError(f"round {number}: {others}; see {kept}")
            shutil.rmtree(out)
            print(f"round {number} ended with the same bytes", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    start = time.monotonic()
    found = kill_rounds(range(arguments.first, arguments.first + arguments.rounds), arguments.workers)
    print(f"{arguments.rounds} rounds in {time.monotonic() - start:.0f} s, every folder with the same bytes:")
    for what, count in sorted(found.items()):
        print(f"{count:6d} {what}")


if __name__ == "__main__":
    main()
