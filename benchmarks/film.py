"""Film-like HDR10 pictures: textured shots under a moving camera, an object of its own, cuts and grain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numba
import numpy as np

Plane: TypeAlias = np.ndarray[Any, np.dtype[Any]]

MARGIN = 0.15
"""A painted canvas is this much larger than the picture on every side, so that the camera can move."""
SHOT_SECONDS = (3.5, 6.0, 2.0, 9.0, 4.0, 12.0, 2.5, 5.0)
"""Lengths of the shots in turn: 5.5 s on average, about what films have, with one long take."""
LUMA_GRAIN, CHROMA_GRAIN = 7.0, 2.5
"""Deviation of the grain in 10-bit codes: that of a fine-grained film stock."""
LEVELS = (300, 430, 240, 390, 340, 480)
"""Mean 10-bit PQ luma codes of the shots in turn, dark and bright: 6 to 60 cd/m2."""


def pictures(height: int, width: int, frames: int, fps: int, seed: int = 0) -> Iterator[tuple[Plane, Plane, Plane]]:
    """uint16 Y', Cb, Cr planes of each picture: 4:2:0, 10 bit, limited range. Pure in its arguments."""
    grain_rng = np.random.default_rng([seed, 0])
    grains = [_grain(grain_rng, height // n, width // n, d) for n, d in ((1, LUMA_GRAIN), (2, CHROMA_GRAIN))]
    shot = begin = 0
    while begin < frames:
        length = round(SHOT_SECONDS[shot % len(SHOT_SECONDS)] * fps)
        rng = np.random.default_rng([seed, 1, shot])
        scenery = _canvases(rng, height, width, LEVELS[shot % len(LEVELS)])
        thing = _canvases(rng, height, width, LEVELS[(shot + 2) % len(LEVELS)])
        # As on a dolly: up to five pixels per frame at 1080p, to and fro, some zoom and a slight roll.
        sway, phase = rng.uniform(0.008, 0.022, 2), rng.uniform(0, 6, 2)
        zoom, roll = rng.uniform(-0.0004, 0.0004), rng.uniform(-0.0002, 0.0002)
        place, speed = rng.uniform(0.25, 0.75, 2), rng.uniform(-0.003, 0.003, 2)
        for index in range(min(length, frames - begin)):
            offsets = np.random.default_rng([seed, 2, begin + index])
            turn = np.array([1 + zoom * index, roll * index])
            planes = []
            for number, (canvas, other) in enumerate(zip(scenery, thing, strict=True)):
                sub = 1 if number == 0 else 2
                grain = grains[sub - 1]
                out = np.empty((height // sub, width // sub), np.uint16)
                pan = 0.8 * MARGIN * np.sin(phase + sway * index) * out.shape
                where = offsets.integers(0, (grain.shape[0], grain.shape[1] - out.shape[1]))
                _compose(canvas, other, turn, pan, (place + speed * index) * out.shape, grain, where, out)
                planes.append(out)
            yield planes[0], planes[1], planes[2]
        begin += length
        shot += 1


def _grain(rng: np.random.Generator, height: int, width: int, deviation: float) -> Plane:
    """int8 (height, 2 * width): far larger than a motion search, so that no encoder finds a frame's grain again."""
    field = rng.standard_normal((height, 2 * width), np.float32) * np.float32(deviation)
    # A 3-tap blur along rows: grain is no white noise, its energy falls towards the finest detail.
    field[:, 1:-1] = (field[:, :-2] + 2 * field[:, 1:-1] + field[:, 2:]) * np.float32(0.41)
    return np.asarray(np.clip(np.rint(field), -60, 60), np.int8)


def _canvases(rng: np.random.Generator, height: int, width: int, level: float) -> list[Plane]:
    """float32 Y', Cb, Cr canvases of a scenery in 10-bit codes."""
    planes = []
    for sub, mean, deviation, slope in ((1, level, 75, 1.35), (2, 512, 24, 1.6), (2, 512, 24, 1.6)):
        rows, columns = (_even(n / sub * (1 + 2 * MARGIN)) for n in (height, width))
        planes.append((mean + deviation * _texture(rng, rows, columns, slope)).astype(np.float32))
    return planes


def _texture(rng: np.random.Generator, height: int, width: int, slope: float) -> Plane:
    """1/f^slope noise, the spectrum of natural pictures, with contours: mean 0, deviation 1."""
    fy, fx = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None, :] * height
    falloff = np.maximum(np.hypot(fy, fx), 1) ** -slope
    falloff[0, 0] = 0
    smooth, contour = (
        np.fft.irfft2(np.fft.rfft2(rng.standard_normal((height, width), np.float32)) * falloff, (height, width))
        for _ in range(2)
    )
    # Where the second field crosses a level the first one steps: edges, as between things.
    mixed = smooth / smooth.std() + 0.8 * np.sign(contour) + 0.5 * np.sign(contour - contour.std())
    return np.asarray((mixed - mixed.mean()) / mixed.std(), np.float32)


def _even(length: float) -> int:
    return int(length) // 2 * 2


@numba.njit  # type: ignore[untyped-decorator]
def _compose(
    canvas: Plane, other: Plane, turn: Plane, shift: Plane, place: Plane, grain: Plane, where: Plane, out: Plane
) -> None:
    """The canvas as the camera sees it, an ellipse of another in front, grain on top; bilinear, edges repeated."""
    height, width = out.shape
    rows, columns = canvas.shape
    middle_y, middle_x = rows / 2 + shift[0], columns / 2 + shift[1]
    radius = height / 5
    for y in range(height):
        noise = grain[(y + where[0]) % grain.shape[0]]
        for x in range(width):
            dy, dx = y - height / 2, x - width / 2
            away_y, away_x = y - place[0], x - place[1]
            if (away_y / radius) ** 2 + (away_x / (1.4 * radius)) ** 2 < 1:
                source, from_y, from_x = other, rows / 2 + away_y, columns / 2 + away_x
            else:
                source = canvas
                from_y = middle_y + turn[0] * dy + turn[1] * dx
                from_x = middle_x + turn[0] * dx - turn[1] * dy
            from_y = min(max(from_y, 0.0), rows - 1.001)
            from_x = min(max(from_x, 0.0), columns - 1.001)
            j, i = int(from_y), int(from_x)
            b, a = from_y - j, from_x - i
            value = (source[j, i] * (1 - a) + source[j, i + 1] * a) * (1 - b)
            value += (source[j + 1, i] * (1 - a) + source[j + 1, i + 1] * a) * b
            out[y, x] = int(min(max(value + noise[x + where[1]], 64.0), 940.0) + 0.5)
