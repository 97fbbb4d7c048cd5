"""Cost of training besides decoding: ``python -m benchmarks.speed.training degradations`` and other parts."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
import torch

from benchmarks.speed.films import FILMS, made
from benchmarks.speed.workload import recipe
from torch_hdrpatches import HDRPatchDataset, PatchLoader, ToneMap
from torch_hdrpatches.color import Grader, ToneSettings
from torch_hdrpatches.frames import Box, ColorTags, Planes
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.testing import MovieSpec, write_movie
from torch_hdrpatches.transforms import BD, BI, Area, Degrade, Lanczos, OldLanczos, VideoCodec, second_order
from torch_hdrpatches.transforms.corruptions import Blur, GaussianNoise, Jpeg, PoissonNoise, RandomResize, Step

SHRINKS: dict[str, Degrade] = {
    "BI()": BI(),
    "BD()": BD(),
    "Area()": Area(),
    "Lanczos()": Lanczos(),
    "OldLanczos()": OldLanczos(),
    "second_order()": second_order(),
}
STEPS: dict[str, Step] = {
    "GaussianNoise()": GaussianNoise(),
    "PoissonNoise()": PoissonNoise(),
    "Jpeg()": Jpeg(),
    "Blur()": Blur(),
    "RandomResize()": RandomResize(),
    'VideoCodec("libx264")': VideoCodec("libx264"),
    'VideoCodec("libx265")': VideoCodec("libx265"),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.training", description=__doc__)
    parser.add_argument("what", choices=PARTS)
    parser.add_argument("--film", choices=FILMS, default="1080p", help="for degradations and candidates")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--samples", type=int, default=20_000, help="for memory")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # one thread, as in a worker among as many workers as cores
    torch.set_num_threads(1)
    for line in PARTS[asked.what](asked):
        print(line, flush=True)


def degradations(asked: argparse.Namespace) -> Iterator[str]:
    """CPU time of each degradation on one sample of 7x540x540, and of decoding a timestamp for comparison."""
    film = FILMS[asked.film]
    stream = PatchStream(recipe([str(made(film))], film.slots), gt="sequence")
    frames = [sample["gt"] for run in stream.plan.runs[:1] for out in stream.run(0, run) for sample in out.samples]
    windows = _decoding(stream)
    yield f"decoding one timestamp of three samples, {asked.film}: {windows:.0f} ms; a third per sample"
    yield "| degradation | at gt size, ms | at lq size, ms |"
    yield "|---|---|---|"
    small = [BI()(clip, 3, rng_at()).contiguous() for clip in frames]
    for name, shrink in SHRINKS.items():
        yield f"| `{name}` | {_milliseconds(asked.rounds, frames, lambda clip, rng, do=shrink: do(clip, 3, rng))} | |"
    for name, step in STEPS.items():
        large, little = (_milliseconds(asked.rounds, where, step) for where in (frames, small))
        yield f"| `{name}` | {large} | {little} |"


def _milliseconds(rounds: int, frames: list[Any], call: Callable[..., Any]) -> str:
    """Mean CPU time of all threads over the rounds, each with other random numbers, after one warm-up."""
    call(frames[0], rng_at("warm"))
    spent = []
    for number in range(max(rounds, len(frames))):
        began = time.process_time()
        call(frames[number % len(frames)], rng_at("bench", number))
        spent.append(1000 * (time.process_time() - began))
    return f"{mean(spent):.1f} ({min(spent):.1f} to {max(spent):.1f})"


def _decoding(stream: PatchStream) -> float:
    """Milliseconds of CPU time per timestamp for reading the windows, without cutting samples."""
    nothing: list[str] = []
    slots = sum(run.stop - run.first for run in stream.plan.runs)
    for _ in stream.run(0, stream.plan.runs[0], nothing):
        pass
    began = time.process_time()
    for run in stream.plan.runs:
        for _ in stream.run(0, run, nothing):
            pass
    return 1000 * (time.process_time() - began) / slots


def candidates(asked: argparse.Namespace) -> Iterator[str]:
    """CPU time per timestamp with one and with four crop candidates in turn, and the samples' mean sharpness."""
    film = FILMS[asked.film]
    streams = {
        count: PatchStream(recipe([str(made(film))], film.slots, crop={"candidates": count})) for count in (1, 4)
    }
    spent: dict[int, list[float]] = {1: [], 4: []}
    sharpness = {1: 0.0, 4: 0.0}
    for _ in range(asked.rounds + 1):
        for count, stream in streams.items():
            began = time.process_time()
            outcomes = [outcome for run in stream.plan.runs for outcome in stream.run(0, run)]
            spent[count].append((time.process_time() - began) / len(outcomes))
            sharpness[count] = mean(s["measures"]["sharpness"] for out in outcomes for s in out.samples)
    one, four = (times[1:] for times in spent.values())
    more = median(b / a - 1 for a, b in zip(one, four, strict=True))
    yield f"{asked.film}: {1000 * median(one):.1f} ms of CPU time per timestamp with 1 candidate, median of {len(one)}"
    yield f"with 4: {1000 * median(four):.1f} ms; each round's pair: {100 * more:+.2f} % (median)"
    yield f"mean sharpness {sharpness[1]:.0f} -> {sharpness[4]:.0f}"


def memory(asked: argparse.Namespace) -> Iterator[str]:
    """Resident memory of parent and workers over many samples, by quarters; small movies and formats."""
    with tempfile.TemporaryDirectory() as folder:
        movies = [  # two sizes, so that workers switch decoders
            write_movie(
                Path(folder) / f"{width}.mkv", MovieSpec(height=height, width=width, frames=240, cuts=(100, 170))
            )
            for height, width in ((360, 640), (288, 512))
        ]
        formats = {"square": {"gt": [96, 96]}, "wide": {"gt": [81, 144]}}
        dataset = HDRPatchDataset(
            {
                "sampling": {"timestamps_per_movie": 400, "jitter": 1.0, "retry_skip": 0.5, "crops_per_category": 2},
                "formats": formats,
                "categories": {name: {"formats": dict.fromkeys(formats, 0.5)} for name in ("one", "two", "three")},
                "movies": [{"path": str(movie), "categories": ["one", "two", "three"]} for movie in movies],
            }
        )
        loader = PatchLoader(dataset, 16, num_workers=2)
        seen, rows = 0, []
        began = time.monotonic()
        while seen < asked.samples:
            for batch in loader:
                seen += len(batch["key"])
                rows.append([_resident(pid) for pid in _processes()])
        quarter = len(rows) // 4
        yield f"{seen} samples, {time.monotonic() - began:.0f} s, resident MB by quarters: parent, workers"
        means = [
            [mean(column) for column in zip(*rows[n * quarter : (n + 1) * quarter], strict=True)] for n in range(4)
        ]
        for number, quarter_means in enumerate(means, 1):
            yield f"quarter {number}: " + ", ".join(f"{value:.1f}" for value in quarter_means)
        growth = (100 * (last / second - 1) for second, last in zip(means[1], means[3], strict=True))
        yield "last against second: " + ", ".join(f"{percent:+.2f} %" for percent in growth)


def _processes() -> list[int]:
    children = sorted(child.pid for child in multiprocessing.active_children() if child.pid)
    return [os.getpid(), *children]


def _resident(pid: int) -> float:
    """MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def tonemap(asked: argparse.Namespace) -> Iterator[str]:
    """Milliseconds per batch of 8 ground truths of 540x540: the CPU kernel from planes, ``ToneMap`` from signal."""
    rng = np.random.default_rng(0)
    y = rng.integers(64, 940, (540, 540), np.uint16)
    cb, cr = (rng.integers(64, 960, (270, 270), np.uint16) for _ in range(2))
    planes = Planes(y, cb, cr, 540, 540, 2, 2, 10)
    grader = Grader(ColorTags("pq", "bt2020", "bt2020nc", "tv"), 10, ToneSettings(), 1000)
    box = Box(0, 0, 540, 540)
    signal = torch.from_numpy(grader.signal([planes] * 8, box)).movedim(-1, -3)
    yield f"kernel, one thread of the CPU: {_wall(lambda: grader.sdr([planes] * 8, box), asked.rounds):.1f} ms"
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        there, module = signal.to(device), ToneMap(dtype=torch.uint8).to(device)
        for name, call in (("eager", module), ("compiled", torch.compile(module))):
            yield f"ToneMap on {device}, {name}: {_wall(partial(call, there), asked.rounds):.1f} ms"


def _wall(call: Callable[[], Any], rounds: int) -> float:
    """Milliseconds of the median round, work of the GPU included."""
    spent = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        spent.append(1000 * (time.perf_counter() - began))
    return median(spent[1:])


PARTS: dict[str, Callable[[argparse.Namespace], Iterator[str]]] = {
    "degradations": degradations,
    "candidates": candidates,
    "memory": memory,
    "tonemap": tonemap,
}

if __name__ == "__main__":
    main()
