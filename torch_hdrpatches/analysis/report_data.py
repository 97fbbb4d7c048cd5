"""What a report shows beside samples: refused windows and the brightness of movies."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice, zip_longest

import numpy as np
from PIL import Image

from ..color.curves import peak_nits
from ..errors import MovieError, WindowError
from ..frames import Plane
from ..sampling.sweep import SAME_GOP, Reject
from ..shards.browse import spread
from .movie_view import MovieView, open_view
from .selection import Selection

REFUSED_SCORED, REFUSED_SHOWN = 72, 24
"""Refused windows that are decoded again for their scores, and those whose frames are shown."""
THUMBNAIL = 320
"""Largest side of a refused window's frames, in pixels."""
MOVIES_MEASURED = 12
"""Movies whose brightness is measured, at most."""
MOMENTS = 8
"""Frames per movie in which brightness is measured."""
NITS = np.geomspace(0.01, 10_000, 97)
"""Edges of the luminance histogram in cd/m2."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refused window, decoded again."""

    movie: str
    seconds: float
    reason: str
    score: float
    ends: tuple[Plane, Plane] | None
    """First and last frame as thumbnails, uint8 (H, W, 3); None if they cannot be decoded."""


@dataclass(frozen=True, slots=True)
class Light:
    """The brightness of a movie, and its tone curve."""

    movie: str
    pixels: Plane
    """Number of pixels between the edges ``NITS``."""
    sdr: Plane
    """SDR codes (0 to 255) of neutral greys of ``NITS``."""
    peak: float
    """cd/m2 that the curve maps to white."""
    peak_from: str
    """``maxcll``, ``mastering``, ``assumed`` or ``recipe``; empty for SDR."""


def refused_windows(selection: Selection) -> list[Refused]:
    """Some of the selection's refused windows, spread over its movies. ``same_gop`` is left out: it has no window."""
    decoded = {(movie, reject) for movie, reject in selection.rejects if reject.reason != SAME_GOP}
    rejects, found = spread(sorted(decoded), REFUSED_SCORED), list[Refused]()
    for name in sorted({movie for movie, _ in rejects}):
        with suppress(MovieError), open_view(selection.recipe, name) as view:
            found += [_refused(view, name, reject) for movie, reject in rejects if movie == name]
    return found


def most_telling(refused: list[Refused]) -> list[Refused]:
    """Refused windows to show, taken from each reason in turn, sorted by movie and second."""
    by_reason: dict[str, list[Refused]] = {}
    for window in refused:
        if window.ends or window.reason not in by_reason:  # one window without frames is enough
            by_reason.setdefault(window.reason, []).append(window)
    turns = zip_longest(*(spread(windows, REFUSED_SHOWN) for windows in by_reason.values()))
    chosen = islice((window for turn in turns for window in turn if window), REFUSED_SHOWN)
    return sorted(chosen, key=lambda window: (window.movie, window.seconds))


def lights(selection: Selection) -> list[Light]:
    """The brightness of the movies that most samples come from."""
    by_samples = Counter(fields["movie"] for fields in selection.metadata).most_common(MOVIES_MEASURED)
    found = []
    for name in sorted(movie for movie, _ in by_samples):
        with suppress(MovieError), open_view(selection.recipe, name) as view:
            found.append(_light(view, name))
    return found


def _refused(view: MovieView, movie: str, reject: Reject) -> Refused:
    try:
        window = view.movie.window(reject.seconds, view.cutter.recipe.sampling.frames)
    except WindowError:
        return Refused(movie, *reject, 0.0, None)
    first, last = view.ends(window)
    return Refused(movie, *reject, view.cutter.stability(window).score, (_thumbnail(first), _thumbnail(last)))


def _thumbnail(frame: Plane) -> Plane:
    image = Image.fromarray(frame)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _light(view: MovieView, name: str) -> Light:
    pixels = np.zeros(len(NITS) - 1, np.int64)
    for number in range(MOMENTS):
        with suppress(WindowError):
            pixels += view.nits((2 * number + 1) * view.facts.duration / (2 * MOMENTS), NITS)
    peak_from = "recipe"
    if view.cutter.recipe.tonemap.peak == "auto":
        peak_from = peak_nits(view.facts.max_cll, view.facts.mastering_peak)[1]
    peak = float(view.cutter.tonemap["peak"])
    return Light(name, pixels, view.sdr_of(NITS), peak, peak_from if peak else "")
