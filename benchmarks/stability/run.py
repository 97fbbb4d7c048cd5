"""Our scene stability, the old one and PySceneDetect on a labelled set: ``python -m benchmarks.stability.run``.

Takes two to three minutes on two cores. With ``HDRPATCHES_CLIPS`` naming the folder of real clips these are looked at
too, and their footage is mixed into the generated movies. Prints the tables of ``docs/scene-stability.md``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from scenedetect.detectors import ContentDetector

from benchmarks.stability import shots as make
from benchmarks.stability.clips import CLIPS, decoded, footage, grader_of, thinned
from benchmarks.stability.stories import Story, stories
from torch_hdrpatches.color import Grader
from torch_hdrpatches.frames import Box, Planes
from torch_hdrpatches.sampling import scene
from torch_hdrpatches.testing import SCENES, MovieSpec, write_movie
from torch_hdrpatches.video.planes import planes_of

TUNE, HELD_OUT, REAL = "tune", "held out", "real clips"
SEEDS = {TUNE: 11, HELD_OUT: 5}
ROUNDS = 4
ABSTRACT_CANVASES = 9
KINDS = ("cut", "flash", "fade", "frozen", "black", "flat")
OURS, OLD, PYSCENEDETECT = "ours (`steps`)", "old system (`first_to_last`)", "PySceneDetect `ContentDetector`"
DEFAULTS = {OURS: 1.0, OLD: 45.0, PYSCENEDETECT: 27.0}
SUDDEN = "ours, all tolerated but cuts and flashes"


@dataclass(frozen=True)
class Judged:
    """A window and what three measures say of it."""

    part: str
    movie: str
    variant: str
    kind: str
    reason: str
    """What ours calls it."""
    scores: dict[str, float]


def main() -> None:
    folder = os.environ.get("HDRPATCHES_CLIPS")
    clips = Path(folder) if folder else None
    with ProcessPoolExecutor(2) as pool:
        parts = [pool.submit(generated, part, clips) for part in (TUNE, HELD_OUT)]
        if clips:
            parts.append(pool.submit(real, clips))
        windows = [window for part in parts for window in part.result()]
    for line in report(windows):
        print(line)


# The windows


def generated(part: str, clips: Path | None) -> list[Judged]:
    """The windows of the movies of one half, each made, encoded by x265, and decoded again."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(SEEDS[part])
    half = (TUNE, HELD_OUT).index(part)
    filmed = [clip for clip in CLIPS if clip.footage][half::2] if clips else []
    shots = [shot for clip in filmed for shot in footage(clips, clip)] if clips else []
    with tempfile.TemporaryDirectory() as folder:
        canvases = [make.painted_canvas(Path(folder), name, SEEDS[part]) for name in SCENES[half::2]]
        canvases += [make.abstract_canvas(rng) for _ in range(ABSTRACT_CANVASES)]
        found: list[Judged] = []
        for number, story in enumerate(stories(rng, canvases, shots, ROUNDS)):
            found += _of_story(part, f"{part} {number}", story, rng, Path(folder) / "movie.mkv")
    return found


def _of_story(part: str, name: str, story: Story, rng: np.random.Generator, path: Path) -> Iterator[Judged]:
    transfer = ("pq", "hlg", "bt709")[rng.integers(3)]
    gain = np.float32(1 if transfer == "bt709" else np.exp(rng.uniform(0, np.log(4))))
    size = {"height": make.HEIGHT, "width": make.WIDTH, "frames": make.FRAMES}
    coding = {"crf": float(rng.integers(18, 31)), "keyint": int(rng.integers(8, 30))}
    spec = MovieSpec(**size, **coding, transfer=transfer, numbers=False)
    write_movie(path, spec, lambda t: story.shot(t) * gain)
    for window in _windows(name, decoded(path), story.label, part):
        beside = story.kind and not window.kind
        yield replace(window, variant=f"before or after: {story.kind}" if beside else story.variant)


def real(folder: Path) -> list[Judged]:
    """The labelled windows of the real clips."""
    cv2.setNumThreads(1)
    return [
        window
        for clip in CLIPS
        for window in _windows(clip.name, decoded(folder / clip.name, clip.stream), clip.label, REAL)
    ]


def _windows(
    movie: str, frames: Iterator[av.VideoFrame], label: Callable[[int], str | None], part: str
) -> Iterator[Judged]:
    pictures: list[Planes] = []
    contents: list[float] = []
    detector, grader = ContentDetector(), None
    for number, frame in enumerate(frames):
        grader = grader or grader_of(frame, movie)
        pictures = [*pictures[-6:], planes_of(frame)]
        contents = [*contents[-5:], _content(detector, number, pictures[-1], grader)]
        kind = label(number - 6) if number >= 6 else None
        if kind is not None:
            yield _judged(part, movie, kind, pictures, contents, grader)


def _content(detector: ContentDetector, number: int, picture: Planes, grader: Grader) -> float:
    """PySceneDetect's score of the step to this picture, tone-mapped and as small as it makes pictures by default."""
    small = thinned(picture, max(1, picture.width // 256))
    rgb = grader.sdr([small], Box(0, 0, small.height, small.width))[0]
    # Its public results are times of cuts, at least 15 pictures apart: of no use for a window of seven.
    return float(detector._calculate_frame_score(number, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)))


def _judged(
    part: str, movie: str, kind: str, pictures: Sequence[Planes], contents: list[float], grader: Grader
) -> Judged:
    area = Box(0, 0, pictures[0].height, pictures[0].width)
    ours = scene.judge(pictures, grader.grey, area)
    sudden = scene.judge(pictures, grader.grey, area, tolerate=("black", "flat", "fade", "frozen"))
    old = scene.judge(pictures, grader.grey, area, "first_to_last")
    same = any(np.array_equal(before.y, after.y) for before, after in pairwise(pictures))
    if not kind and same:  # the encoder left out what little moved
        kind = "frozen"
    scores = {OURS: ours.score, SUDDEN: sudden.score, OLD: old.score, PYSCENEDETECT: max(contents)}
    return Judged(part, movie, movie, kind, ours.reason, scores)


# The tables


def report(windows: list[Judged]) -> Iterator[str]:
    """Markdown tables."""
    tuned = {measure: best_threshold(measure, _of(windows, TUNE)) for measure in DEFAULTS if measure != OURS}
    for part in (HELD_OUT, TUNE, REAL):
        chosen = _of(windows, part)
        if not chosen:
            continue
        movies = len({window.movie for window in chosen})
        yield f"\n### {part.capitalize()}: {len(chosen)} windows of {movies} movies\n"
        yield from by_kind(chosen, tuned)
        for ours, kinds in ((OURS, KINDS), (OURS, ("cut", "flash", "fade")), (SUDDEN, ("cut", "flash"))):
            yield f"\nAt equal recall: {', '.join(kinds)}\n"
            yield from at_equal_recall(ours, [window for window in chosen if window.kind in (*kinds, "")])
    if real := _of(windows, REAL):
        yield "\n### Real clips with cuts\n"
        yield from by_clip(real)
    yield "\n### Stable windows refused by ours\n"
    yield from refused(windows)


def best_threshold(measure: str, windows: list[Judged]) -> float:
    """The threshold at which recall exceeds the share of stable windows refused by most."""
    events, calm = [w for w in windows if w.kind], [w for w in windows if not w.kind]
    thresholds = sorted({window.scores[measure] for window in windows})
    return max(thresholds, key=lambda t: _share(events, measure, t) - _share(calm, measure, t))


def by_kind(windows: list[Judged], tuned: dict[str, float]) -> Iterator[str]:
    """Recall by kind, stable windows refused, and precision, at default and at tuned thresholds."""
    columns = [(measure, DEFAULTS[measure]) for measure in DEFAULTS]
    columns += list(tuned.items())
    yield (
        "| | windows | "
        + " | ".join(f"{measure} ≥ {threshold:.3g}" for measure, threshold in columns)
        + " | right name |"
    )
    yield "|---|" + "---:|" * (len(columns) + 2)
    for kind in KINDS:
        of_kind = [window for window in windows if window.kind == kind]
        if of_kind:
            shares = [_share(of_kind, *column) for column in columns]
            named = sum(window.reason == kind for window in of_kind) / len(of_kind)
            yield (
                f"| {kind}: recall | {len(of_kind)} | " + " | ".join(map(_percent, shares)) + f" | {_percent(named)} |"
            )
    events, calm = [w for w in windows if w.kind], [w for w in windows if not w.kind]
    yield _row("all kinds: recall", len(events), [_share(events, *column) for column in columns])
    yield _row("stable, but refused", len(calm), [_share(calm, *column) for column in columns])
    yield _row("precision", len(windows), [_precision(windows, *column) for column in columns])


def at_equal_recall(ours: str, windows: list[Judged]) -> Iterator[str]:
    """Precision of each measure at the threshold where it finds as many events as ours does at 1."""
    events, calm = [w for w in windows if w.kind], [w for w in windows if not w.kind]
    wanted = sum(window.scores[ours] >= 1 for window in events)
    yield "| | threshold | recall | stable, but refused | precision |"
    yield "|---|---:|---:|---:|---:|"
    for measure in (ours, OLD, PYSCENEDETECT):
        found = sorted((window.scores[measure] for window in events), reverse=True)[wanted - 1]
        threshold = 1.0 if measure == ours else found
        shares = [_share(events, measure, threshold), _share(calm, measure, threshold)]
        shares.append(_precision(windows, measure, threshold))
        yield f"| {measure} | {threshold:.3g} | " + " | ".join(map(_percent, shares)) + " |"


def by_clip(windows: list[Judged]) -> Iterator[str]:
    """Of the clips in which there are cuts: how many windows with a cut are refused, and how many stable ones."""
    names = sorted({window.movie for window in windows if window.kind == "cut"})
    yield (
        "| | windows with a cut | stable windows | "
        + " | ".join(f"{measure}: cuts found, stable refused" for measure in DEFAULTS)
        + " |"
    )
    yield "|---|---:|---:|" + "---:|" * len(DEFAULTS)
    for name in names:
        cuts, calm = ([w for w in windows if w.movie == name and w.kind == kind] for kind in ("cut", ""))
        shares = [
            f"{_percent(_share(cuts, *column))}, {_percent(_share(calm, *column))}"
            if calm
            else _percent(_share(cuts, *column))
            for column in DEFAULTS.items()
        ]
        yield f"| {name} | {len(cuts)} | {len(calm)} | " + " | ".join(shares) + " |"


def refused(windows: list[Judged]) -> Iterator[str]:
    """Where ours is wrong: stable windows refused, by what they show."""
    yield "| part | what happens | windows | refused | as |"
    yield "|---|---|---:|---:|---|"
    for part in (TUNE, HELD_OUT, REAL):
        calm = [window for window in _of(windows, part) if not window.kind]
        for variant in sorted({window.variant for window in calm if window.reason}):
            same = [window for window in calm if window.variant == variant]
            reasons = [window.reason for window in same if window.reason]
            yield f"| {part} | {variant} | {len(same)} | {len(reasons)} | {', '.join(sorted(set(reasons)))} |"


def _of(windows: list[Judged], part: str) -> list[Judged]:
    return [window for window in windows if window.part == part]


def _share(windows: list[Judged], measure: str, threshold: float) -> float:
    return sum(window.scores[measure] >= threshold for window in windows) / max(1, len(windows))


def _precision(windows: list[Judged], measure: str, threshold: float) -> float:
    over = [window for window in windows if window.scores[measure] >= threshold]
    return sum(bool(window.kind) for window in over) / max(1, len(over))


def _row(name: str, count: int, shares: list[float]) -> str:
    return f"| {name} | {count} | " + " | ".join(map(_percent, shares)) + " | |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
