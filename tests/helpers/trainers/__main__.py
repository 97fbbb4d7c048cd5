"""Runs all training programs whose packages are installed, and prints a table of what came of them.

python -m tests.helpers.trainers
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from pathlib import Path

from .data import write_recipe
from .programs import PROGRAMS


def main() -> None:
    wrong = 0
    with tempfile.TemporaryDirectory() as scratch:
        recipe = write_recipe(Path(scratch))
        for program in PROGRAMS:
            if not importlib.util.find_spec(program.package):
                print(f"{program}: {program.package} is not installed")
                continue
            folder = Path(scratch) / str(program)
            folder.mkdir()
            start = time.monotonic()
            found = program.run(recipe, folder)
            print(f"{program}: {len(found)} of {program.trainings} trainings in {time.monotonic() - start:.0f} s")
            for (trainer, ranks, scenario), faults in found.items():
                print(f"  {trainer} | {ranks} | {scenario} | {'; '.join(faults) or 'right'}", flush=True)
                wrong += bool(faults)
    raise SystemExit(f"{wrong} trainings are wrong" if wrong else 0)


if __name__ == "__main__":
    main()
