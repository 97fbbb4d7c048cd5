"""Damages real clips in every way that files get damaged, and sees that each costs itself and nothing else.

    python tests/helpers/fuzz.py CLIPS --rounds 2000

Each round flips bytes of a clip, cuts it short, or splices it with another (seeded by the round's number), then looks
into it and asks five slots of it. A crash ends the script; so does a round that takes too long, an exception that is
not one of ours, a slot that gave nothing and does not say why, or memory that grows. What the watchdog had to give up
is counted by itself.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.video.decoder import trim_memory

LARGEST = 700_000
"""Bytes of a clip that is used: enough damage fits into these, and 4K would take all the time."""
SLOWEST = 60.0
"""Seconds of processor time that a round may take; its wall time is the watchdog's business, and that of other work."""
GROWTH = 100.0
"""MB that memory may grow from a tenth of the rounds to the end."""
ASSUME = {"transfer": "pq", "primaries": "bt2020", "matrix": "bt2020nc"}


def damaged(clips: list[Path], number: int) -> tuple[str, bytes]:
    """The name and the bytes of a damaged clip."""
    rng = rng_at("fuzz", number)
    clip, other = (clips[int(rng.integers(len(clips)))] for _ in range(2))
    data = np.frombuffer(clip.read_bytes(), np.uint8).copy()
    kind = ("flip", "header", "cut", "splice", "zero")[int(rng.integers(5))]
    if kind in ("flip", "header"):
        reach = len(data) if kind == "flip" else min(4096, len(data))
        places = rng.integers(reach, size=int(rng.integers(1, 64)))
        data[places] = rng.integers(256, size=len(places))
    elif kind == "cut":
        data = data[: int(rng.integers(len(data)))]
    elif kind == "splice":
        tail = np.frombuffer(other.read_bytes(), np.uint8)
        data = np.concatenate([data[: int(rng.integers(len(data)))], tail[int(rng.integers(len(tail))) :]])
    else:
        start = int(rng.integers(len(data)))
        data[start : start + int(rng.integers(1, 65536))] = 0
    return f"{kind}-{clip.name}", data.tobytes()


def try_one(path: Path) -> str:
    """What became of a clip: ``refused`` as a whole, or ``read`` with what its five slots gave."""
    stream = PatchStream(
        {
            "sampling": {"timestamps_per_movie": 5, "max_attempts": 2},
            "formats": {"tiny": {"gt": [48, 60]}},
            "categories": {"all": {"formats": {"tiny": 1.0}}},
            "movies": [{"path": str(path), "categories": ["all"], "name": "clip", "assume": ASSUME}],
        }
    )
    outcomes = [outcome for run in stream.plan for outcome in stream.run(0, run)]
    assert len(outcomes) == 5, f"{len(outcomes)} of 5 slots came back"
    for outcome in outcomes:
        assert outcome.samples or outcome.rejects or outcome.refused or outcome.failure, "nothing, and no reason"
    if any("no answer within" in str(outcome.failure) for outcome in outcomes):
        return "given up by the watchdog"
    if all(outcome.failure for outcome in outcomes):
        return "refused"
    return "read" if any(outcome.samples for outcome in outcomes) else "read, all windows rejected"


def memory() -> float:
    """Resident memory in MB, without what is free."""
    trim_memory(object())
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def fuzz(folder: Path, rounds: int) -> tuple[Counter[str], float]:
    """Try this many damaged clips; what became of them, counted, and the MB by which memory grew after a tenth of them.

    Raises:
        AssertionError: naming the round, if one broke a promise.
    """
    clips = sorted(path for path in folder.iterdir() if path.suffix not in (".md", ".png"))
    clips = [path for path in clips if path.stat().st_size <= LARGEST]
    found: Counter[str] = Counter()
    early = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(rounds):
            name, data = damaged(clips, number)
            path = Path(scratch) / name
            path.write_bytes(data)
            start = time.process_time()
            found[try_one(path)] += 1
            took = time.process_time() - start
            assert took < SLOWEST, f"round {number}, {name}: {took:.0f} s of processor time"
            path.unlink()
            if number == rounds // 10:
                early = memory()
    grown = memory() - early
    assert rounds < 1000 or grown < GROWTH, f"memory grew by {grown:.0f} MB"
    return found, grown


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--rounds", type=int, default=2000)
    arguments = parser.parse_args()
    start = time.monotonic()
    found, grown = fuzz(arguments.clips, arguments.rounds)
    print(f"{arguments.rounds} damaged clips in {time.monotonic() - start:.0f} s; {memory():.0f} MB at the end,")
    print(f"{grown:+.0f} MB since a tenth of them:")
    for what, count in found.most_common():
        print(f"{count:6d} {what}")


if __name__ == "__main__":
    main()
