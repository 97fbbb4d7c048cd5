"""Compares our scene stability, the old system's and PySceneDetect on a labelled set.

``python -m benchmarks.stability.run`` prints the tables of ``docs/scene-stability.md`` in two to three minutes on two
cores. If ``HDRPATCHES_CLIPS`` names the folder of the real clips, they are measured, too, and parts of them are used in
the generated movies.
"""

import argparse
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from scenedetect.detectors import ContentDetector

from benchmarks import markdown_table
from benchmarks.stability import shots as make
from benchmarks.stability.clips import CLIPS, decoded, footage, grader_of, thinned
from benchmarks.stability.stories import Story, stories
from torch_hdrpatches.frames import Box, Planes
from torch_hdrpatches.sampling import scene
from torch_hdrpatches.testing import SCENES, MovieSpec, write_movie
from torch_hdrpatches.video.planes import planes_of

TUNE, HELD_OUT, REAL = "tune", "held out", "real clips"
SEEDS = {TUNE: 11, HELD_OUT: 5}
KINDS = ("cut", "flash", "fade", "frozen", "black", "flat")
OURS, OLD, PYSCENEDETECT = "ours (`steps`)", "old system (`first_to_last`)", "PySceneDetect `ContentDetector`"
DEFAULTS = {OURS: 1.0, OLD: 45.0, PYSCENEDETECT: 27.0}
SUDDEN = "ours, all tolerated but cuts and flashes"


@dataclass(frozen=True)
class Judged:
    """A window, its label, and the scores of the measures."""

    movie: str
    variant: str
    kind: str
    reason: str
    """The reason that ours gives."""
    scores: dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stability.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4, help="movies of each variant; fewer for a quick check")
    rounds = parser.parse_args().rounds
    folder = os.environ.get("HDRPATCHES_CLIPS")
    clips = Path(folder) if folder else None
    with ProcessPoolExecutor(2) as pool:
        parts = {part: pool.submit(generated, part, clips, rounds) for part in (HELD_OUT, TUNE)}
        if clips:
            parts[REAL] = pool.submit(real, clips)
    for line in report({part: windows.result() for part, windows in parts.items()}):
        print(line)


def generated(part: str, clips: Path | None, rounds: int) -> list[Judged]:
    """Make, encode and decode the movies of one half of the set, and judge their windows."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(SEEDS[part])
    half = (TUNE, HELD_OUT).index(part)
    filmed = [clip for clip in CLIPS if clip.footage][half::2] if clips else []
    shots = [shot for clip in filmed for shot in footage(clips, clip)] if clips else []
    with tempfile.TemporaryDirectory() as folder:
        canvases = [make.painted_canvas(Path(folder), name, SEEDS[part]) for name in SCENES[half::2]]
        canvases += [make.abstract_canvas(rng) for _ in range(9)]
        found: list[Judged] = []
        for number, story in enumerate(stories(rng, canvases, shots, rounds)):
            found += _of_story(str(number), story, rng, Path(folder) / "movie.mkv")
    return found


def _of_story(name: str, story: Story, rng: np.random.Generator, path: Path) -> Iterator[Judged]:
    transfer = ("pq", "hlg", "bt709")[rng.integers(3)]
    gain = np.float32(1 if transfer == "bt709" else np.exp(rng.uniform(0, np.log(4))))
    size = {"height": make.HEIGHT, "width": make.WIDTH, "frames": make.FRAMES}
    coding = {"crf": float(rng.integers(18, 31)), "keyint": int(rng.integers(8, 30))}
    spec = MovieSpec(**size, **coding, transfer=transfer, numbers=False)
    write_movie(path, spec, lambda t: story.shot(t) * gain)
    for window in _windows(name, decoded(path), story.label):
        beside = story.kind and not window.kind
        yield replace(window, variant=f"before or after: {story.kind}" if beside else story.variant)


def real(folder: Path) -> list[Judged]:
    """The labelled windows of the real clips."""
    cv2.setNumThreads(1)
    windows = (_windows(clip.name, decoded(folder / clip.name, clip.stream), clip.label) for clip in CLIPS)
    return list(chain.from_iterable(windows))


def _windows(movie: str, frames: Iterator[av.VideoFrame], label: Callable[[int], str | None]) -> Iterator[Judged]:
    shown: deque[Planes] = deque(maxlen=7)
    contents: deque[float] = deque(maxlen=6)
    detector, grader = ContentDetector(), None
    for number, frame in enumerate(frames):
        grader = grader or grader_of(frame, movie)
        shown.append(planes_of(frame))
        # PySceneDetect's score of the step to this frame, tone-mapped and downscaled as it does by default.
        small = thinned(shown[-1], max(1, frame.width // 256))
        rgb = grader.sdr([small], Box(0, 0, small.height, small.width))[0]
        # Its public results are cuts at least 15 frames apart, which is too coarse for windows of seven.
        contents.append(float(detector._calculate_frame_score(number, cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))))
        kind = label(number - 6) if number >= 6 else None
        if kind is None:
            continue
        judge = partial(scene.judge, [*shown], grader.grey, Box(0, 0, shown[0].height, shown[0].width))
        ours, sudden = judge(), judge(tolerate=("black", "flat", "fade", "frozen"))
        if not kind and any(np.array_equal(before.y, after.y) for before, after in pairwise(shown)):
            kind = "frozen"  # the encoder dropped a small motion
        old = judge("first_to_last").score
        scores = {OURS: ours.score, SUDDEN: sudden.score, OLD: old, PYSCENEDETECT: max(contents)}
        yield Judged(movie, movie, kind, ours.reason, scores)


def report(parts: dict[str, list[Judged]]) -> Iterator[str]:
    """Markdown tables, each with a title."""
    tuned = {measure: best_threshold(measure, parts[TUNE]) for measure in (OLD, PYSCENEDETECT)}
    for part, windows in parts.items():
        movies = len({window.movie for window in windows})
        yield f"\n### {part.capitalize()}: {len(windows)} windows of {movies} movies\n"
        yield by_kind(windows, [*DEFAULTS.items(), *tuned.items()])
        for ours, kinds in ((OURS, KINDS), (OURS, KINDS[:3]), (SUDDEN, KINDS[:2])):
            yield f"\nAt equal recall: {', '.join(kinds)}\n"
            yield at_equal_recall(ours, _of(windows, *kinds, ""))
    if REAL in parts:
        yield "\n### Real clips with cuts\n"
        yield by_clip(parts[REAL])
    yield "\n### Stable windows refused by ours\n"
    yield refused(parts)


def best_threshold(measure: str, windows: list[Judged]) -> float:
    """The threshold with the largest difference between recall and the refused share of stable windows."""
    events, calm = _of(windows, *KINDS), _of(windows, "")
    thresholds = sorted({window.scores[measure] for window in windows})
    return max(thresholds, key=lambda t: _share(events, measure, t) - _share(calm, measure, t))


def by_kind(windows: list[Judged], columns: list[tuple[str, float]]) -> str:
    """Recall by kind, refused stable windows, and precision, at each measure's threshold."""
    rows = []
    for kind in KINDS:
        if of_kind := _of(windows, kind):
            named = sum(window.reason == kind for window in of_kind) / len(of_kind)
            shares = [*(_share(of_kind, *column) for column in columns), named]
            rows.append([f"{kind}: recall", len(of_kind), *map(_percent, shares)])
    for name, some, share in (
        ("all kinds: recall", _of(windows, *KINDS), _share),
        ("stable, but refused", _of(windows, ""), _share),
        ("precision", windows, _precision),
    ):
        rows.append([name, len(some), *(_percent(share(some, *column)) for column in columns), ""])
    heads = [f"{measure} ≥ {threshold:.3g}" for measure, threshold in columns]
    return markdown_table(["", "windows", *heads, "right name"], rows)


def at_equal_recall(ours: str, windows: list[Judged]) -> str:
    """Precision of each measure at the threshold at which it finds as many events as ours at 1."""
    events, calm = _of(windows, *KINDS), _of(windows, "")
    wanted = sum(window.scores[ours] >= 1 for window in events)
    rows = []
    for measure in (ours, OLD, PYSCENEDETECT):
        found = sorted((window.scores[measure] for window in events), reverse=True)[wanted - 1]
        threshold = 1.0 if measure == ours else found
        shares = _share(events, measure, threshold), _share(calm, measure, threshold)
        precision = _precision(windows, measure, threshold)
        rows.append([measure, f"{threshold:.3g}", *map(_percent, (*shares, precision))])
    return markdown_table(["", "threshold", "recall", "stable, but refused", "precision"], rows)


def by_clip(windows: list[Judged]) -> str:
    """For clips with cuts: the refused shares of windows with a cut and of stable windows."""
    rows = []
    for name in sorted({window.movie for window in _of(windows, "cut")}):
        cuts, calm = ([w for w in _of(windows, kind) if w.movie == name] for kind in ("cut", ""))
        parts = [cuts, calm] if calm else [cuts]
        shares = (", ".join(_percent(_share(part, *column)) for part in parts) for column in DEFAULTS.items())
        rows.append([name, len(cuts), len(calm), *shares])
    heads = [f"{measure}: cuts found, stable refused" for measure in DEFAULTS]
    return markdown_table(["", "windows with a cut", "stable windows", *heads], rows)


def refused(parts: dict[str, list[Judged]]) -> str:
    """Errors of ours: refused stable windows, by their content."""
    rows = []
    for part, windows in parts.items():
        calm = _of(windows, "")
        for variant in sorted({window.variant for window in calm if window.reason}):
            reasons = [window.reason for window in calm if window.variant == variant]
            found = [reason for reason in reasons if reason]
            rows.append([part, variant, len(reasons), len(found), ", ".join(sorted(set(found)))])
    return markdown_table(["part", "what happens", "windows", "refused", "as"], rows)


def _of(windows: list[Judged], *kinds: str) -> list[Judged]:
    """The windows of these kinds; ``""`` are the stable ones."""
    return [window for window in windows if window.kind in kinds]


def _share(windows: list[Judged], measure: str, threshold: float) -> float:
    return sum(window.scores[measure] >= threshold for window in windows) / max(1, len(windows))


def _precision(windows: list[Judged], measure: str, threshold: float) -> float:
    over = [window for window in windows if window.scores[measure] >= threshold]
    return sum(bool(window.kind) for window in over) / max(1, len(over))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
