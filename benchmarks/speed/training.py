"""Cost of training besides decoding: ``python -m benchmarks.speed.training degradations`` and other parts."""

import argparse
import multiprocessing
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle
from statistics import mean, median
from typing import Any

import numpy as np
import torch

from benchmarks import markdown_table
from benchmarks.speed.films import FILMS, made
from benchmarks.speed.timing import interleaved, memory_mb
from benchmarks.speed.workload import outcomes, recipe
from torch_hdrpatches import HDRPatchDataset, PatchLoader, ToneMap
from torch_hdrpatches.color import Grader, ToneSettings
from torch_hdrpatches.frames import Box, ColorTags, Planes
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.testing import MovieSpec, write_movie
from torch_hdrpatches.transforms import BD, BI, Area, Lanczos, OldLanczos, VideoCodec, second_order
from torch_hdrpatches.transforms.corruptions import Blur, GaussianNoise, Jpeg, PoissonNoise, RandomResize

SHRINKS = (BI, BD, Area, Lanczos, OldLanczos, second_order)
STEPS = {
    **{f"{step.__name__}()": step() for step in (GaussianNoise, PoissonNoise, Jpeg, Blur, RandomResize)},
    **{f'VideoCodec("{codec}")': VideoCodec(codec) for codec in ("libx264", "libx265")},
}


def main() -> None:
    parts = {part.__name__: part for part in (degradations, candidates, memory, tonemap)}
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed.training", description=__doc__)
    parser.add_argument("what", choices=parts)
    parser.add_argument("--film", choices=FILMS, default="1080p", help="for degradations and candidates")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--samples", type=int, default=20_000, help="for memory")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"  # one thread, as in a worker among as many workers as cores
    torch.set_num_threads(1)
    for line in parts[asked.what](asked):
        print(line, flush=True)


def degradations(asked: argparse.Namespace) -> Iterator[str]:
    """CPU time of each degradation on one sample of 7x540x540, and of decoding a timestamp for comparison."""
    film = FILMS[asked.film]
    stream = PatchStream(recipe([str(made(film))], film.slots), gt="sequence")
    large = [sample["gt"] for out in stream.run(0, stream.plan.run(0)) for sample in out.samples]
    small = [BI()(clip, 3, rng_at()).contiguous() for clip in large]
    seconds = interleaved({"": lambda: deque(outcomes(stream, ()), 0)}, 1, time.process_time)[""][0] / film.slots
    yield f"decoding one timestamp of three samples, {film.name}: {1000 * seconds:.0f} ms; a third per sample"
    calls = {(f"{make.__name__}()", 0): _on(large, make(), 3) for make in SHRINKS}
    for name, step in STEPS.items():
        calls |= {(name, column): _on(clips, step) for column, clips in enumerate((large, small))}
    cells = {f"`{name}`": ["", ""] for name, _ in calls}
    for (name, column), times in interleaved(calls, max(asked.rounds, len(large)), time.process_time).items():
        average, low, high = (1000 * of(times) for of in (mean, min, max))
        cells[f"`{name}`"][column] = f"{average:.1f} ({low:.1f} to {high:.1f})"
    heads = ("degradation", "at gt size, ms", "at lq size, ms")
    yield markdown_table(heads, ([name, *columns] for name, columns in cells.items()))


def _on(clips: list[Any], step: Callable[..., Any], *scale: int) -> Callable[[], Any]:
    """A step on one of the clips: another clip and other random numbers at each call."""
    inputs = ((clip, *scale, rng_at("bench", number)) for number, clip in enumerate(cycle(clips)))
    return lambda: step(*next(inputs))


def candidates(asked: argparse.Namespace) -> Iterator[str]:
    """CPU time per timestamp with one and with four crop candidates in turn, and the samples' mean sharpness."""
    film = FILMS[asked.film]
    movies = [str(made(film))]
    streams = {n: PatchStream(recipe(movies, film.slots, crop={"candidates": n})) for n in (1, 4)}
    sharpness = [
        mean(sample["measures"]["sharpness"] for outcome in outcomes(stream) for sample in outcome.samples)
        for stream in streams.values()
    ]
    runs = {n: lambda stream=stream: deque(outcomes(stream), 0) for n, stream in streams.items()}
    one, four = interleaved(runs, asked.rounds, time.process_time).values()
    more = median(b / a - 1 for a, b in zip(one, four, strict=True))
    low, high = (1000 * median(times) / film.slots for times in (one, four))
    yield f"{film.name}: {low:.1f} ms of CPU time per timestamp with 1 candidate, median of {len(one)}"
    yield f"with 4: {high:.1f} ms; each round's pair: {100 * more:+.2f} % (median)"
    yield f"mean sharpness {sharpness[0]:.0f} -> {sharpness[1]:.0f}"


def memory(asked: argparse.Namespace) -> Iterator[str]:
    """Resident memory of parent and workers over many samples, by quarters; small movies and formats."""
    with tempfile.TemporaryDirectory() as folder:
        movies = [  # two sizes, so that workers switch decoders
            write_movie(f"{folder}/{width}.mkv", MovieSpec(height=height, width=width, frames=240, cuts=(100, 170)))
            for height, width in ((360, 640), (288, 512))
        ]
        formats = {"square": {"gt": [96, 96]}, "wide": {"gt": [81, 144]}}
        categories = ["one", "two", "three"]
        dataset = HDRPatchDataset(
            {
                "sampling": {"timestamps_per_movie": 400, "jitter": 1.0, "retry_skip": 0.5, "crops_per_category": 2},
                "formats": formats,
                "categories": {name: {"formats": dict.fromkeys(formats, 0.5)} for name in categories},
                "movies": [{"path": str(movie), "categories": categories} for movie in movies],
            }
        )
        loader = PatchLoader(dataset, 16, num_workers=2)
        seen, rows = 0, []
        began = time.monotonic()
        while seen < asked.samples:
            for batch in loader:
                seen += len(batch["key"])
                workers = sorted(child.pid for child in multiprocessing.active_children() if child.pid)
                rows.append([memory_mb("VmRSS", process) for process in (os.getpid(), *workers)])
    yield f"{seen} samples, {time.monotonic() - began:.0f} s, resident MB by quarters: parent, workers"
    length = len(rows) // 4
    quarters = [[mean(of) for of in zip(*rows[n * length : (n + 1) * length], strict=True)] for n in range(4)]
    for number, means in enumerate(quarters, 1):
        yield f"quarter {number}: " + ", ".join(f"{value:.1f}" for value in means)
    growth = (100 * (last / second - 1) for second, last in zip(quarters[1], quarters[3], strict=True))
    yield "last against second: " + ", ".join(f"{percent:+.2f} %" for percent in growth)


def tonemap(asked: argparse.Namespace) -> Iterator[str]:
    """Milliseconds per batch of 8 ground truths of 540x540: the CPU kernel from planes, ``ToneMap`` from signal."""
    rng = np.random.default_rng(0)
    y = rng.integers(64, 940, (540, 540), np.uint16)
    cb, cr = (rng.integers(64, 960, (270, 270), np.uint16) for _ in range(2))
    planes = [Planes(y, cb, cr, 540, 540, 2, 2, 10)] * 8
    grader = Grader(ColorTags("pq", "bt2020", "bt2020nc", "tv"), 10, ToneSettings(), 1000)
    box = Box(0, 0, 540, 540)
    signal = torch.from_numpy(grader.signal(planes, box)).movedim(-1, -3)
    calls: dict[str, Callable[[], Any]] = {"kernel, one thread of the CPU": partial(grader.sdr, planes, box)}
    for device in ("cpu", *(["cuda"] if torch.cuda.is_available() else [])):
        there, module = signal.to(device), ToneMap(dtype=torch.uint8).to(device)
        for name, tone_map in (("eager", module), ("compiled", torch.compile(module))):
            calls[f"ToneMap on {device}, {name}"] = partial(_finished, tone_map, there)
    for name, seconds in interleaved(calls, asked.rounds).items():
        yield f"{name}: {1000 * median(seconds):.1f} ms"


def _finished(tone_map: Callable[[torch.Tensor], torch.Tensor], signal: torch.Tensor) -> None:
    tone_map(signal)
    if signal.is_cuda:
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
