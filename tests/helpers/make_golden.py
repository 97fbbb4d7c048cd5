"""Writes the golden shards again: only for a new format version, beside the old ones.

python tests/helpers/make_golden.py shards/golden/v1
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from torch_hdrpatches import export
from torch_hdrpatches.testing import MovieSpec, write_movie


def main(out: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        movie = write_movie(Path(scratch) / "golden.mkv", MovieSpec(height=192, width=320, frames=24))
        recipe = {
            "sampling": {"timestamps_per_movie": 2},
            "formats": {"tiny": {"gt": [48, 60]}},
            "categories": {"golden": {"formats": {"tiny": 1.0}}},
            "movies": [{"path": str(movie), "categories": ["golden"]}],
        }
        for output in ("sdr", "both"):
            export(recipe, Path(scratch) / output, output=output)
            shutil.copytree(Path(scratch) / output, out / output)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
