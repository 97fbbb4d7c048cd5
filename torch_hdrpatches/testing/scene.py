"""Paints moving landscapes: a sky, rows of hills, trees, houses or water, balloons or lanterns, and film grain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..color.formulas import rgb_to_rgb
from ..color.names import is_hdr
from .signal import Coding, Light, PlaneCodes

Field: TypeAlias = NDArray[np.float32]
"""float32 (H, W), or a shape that broadcasts to it."""
Rgb: TypeAlias = tuple[float, float, float]
"""Linear light in cd/m2, BT.709 primaries."""

GRAIN = 0.004
"""Standard deviation of the film grain, as a share of the code range."""
SUN_RADIUS = 0.045
"""In frame heights, as all lengths here."""
PANS = (1, 1, 2, 4, -2)
"""Speed in pairs of columns per frame at 1080 rows: the sky, three rows from far to near, the balls."""
TEXTURES = {"hills": (1.5, 1.6), "trees": (0.8, 1.0), "towers": (1.2, 1.0), "water": (0.9, 8.0)}
"""Kind of a row -> exponent and stretch of its noise."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The look of a scene."""

    sky: tuple[Rgb, Rgb, Rgb]
    """Colours at the zenith, at the horizon, and of the clouds."""
    sun: tuple[Rgb, float, float]
    """Colour of the sun or moon; x and y of its centre, from 0 to 1."""
    balls: tuple[Rgb, ...]
    """Colours of the balloons or lanterns."""
    rows: tuple[tuple[str, float, float, Rgb], ...]
    """From far to near: kind, mean y of the outline (0 to 1), exponent of its 1/f spectrum (1 is jagged), colour."""


SCENES = {
    "meadow": Scene(
        ((2, 20, 80), (70, 106, 136), (330, 330, 330)),
        ((1000, 900, 700), 0.8, 0.15),
        ((140, 7, 4), (160, 90, 2), (4, 28, 110)),
        (("hills", 0.56, 1.6, (8, 16, 5)), ("trees", 0.66, 0.9, (2, 6, 1.5)), ("hills", 0.78, 2, (22, 40, 4.5))),
    ),
    "city": Scene(
        ((0.1, 0.2, 1.5), (2, 1.4, 7), (3, 2.6, 8)),
        ((280, 310, 350), 0.22, 0.18),
        ((700, 300, 70), (700, 420, 150), (500, 60, 20), (600, 200, 40)),
        (("towers", 0.5, 0, (0.4, 0.5, 1.5)), ("water", 0.6, 0, (0.3, 0.5, 2)), ("towers", 0.86, 0, (0.15, 0.2, 0.6))),
    ),
    "coast": Scene(
        ((8, 46, 110), (120, 148, 147), (300, 300, 300)),
        ((1000, 960, 840), 0.15, 0.16),
        ((160, 160, 160), (150, 20, 8), (150, 80, 5)),
        (("water", 0.55, 0, (2, 24, 32)), ("hills", 0.72, 1.5, (30, 26, 12)), ("trees", 0.84, 0.9, (2, 5, 1))),
    ),
    "sunset": Scene(
        ((1.2, 2, 9), (45, 13, 2.4), (70, 22, 14)),
        ((1000, 740, 400), 0.66, 0.42),
        ((30, 4, 2), (36, 15, 3)),
        (("hills", 0.55, 1.5, (3.5, 1.5, 3)), ("water", 0.66, 0, (15, 5, 3)), ("trees", 0.84, 0.9, (0.4, 0.35, 0.4))),
    ),
}
"""By name. Bright and dark scenes alternate, so that every cut is a large change by any measure."""


def paint(name: str, coding: Coding, height: int, width: int, seed: int) -> Callable[[int], PlaneCodes]:
    """Paint a scene's layers once; the returned function makes the unrounded planes of a frame from its number.

    A layer repeats after the frame's width, so that it can pan for ever.
    """
    scene = SCENES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    y, x = ((np.arange(n, dtype=np.float32) + np.float32(0.5)) / np.float32(height) for n in (height, width))
    y, x = y[:, None], x[None, :]
    layers = [_sky(rng, scene, y, x), *(_row(rng, scene, number, y, x) for number in range(len(scene.rows)))]
    layers.append(_balls(rng, scene, y, x))
    speeds = [pan * height / 1080 for pan in PANS]
    speeds[-2] = max(1.0, speeds[-2])  # so that something large moves in every frame of a small movie, too
    coded, bottom = [], height
    for (light, cover), speed in reversed([*zip(layers, speeds, strict=True)]):
        planes, small = coding.planes(_in_primaries(light, coding)), coding.subsample(cover)
        used = np.flatnonzero(cover.any(axis=1))
        parts = []
        for plane, share, (sub_y, _) in zip(planes, (cover, small, small), coding.subs, strict=True):
            rows = slice(used[0] // sub_y, min(used[-1], bottom) // sub_y + 1)
            # Twice side by side, so that any pan shows one view of it.
            parts.append((rows, *(np.tile(part[rows], 2) for part in (plane * share, 1 - share))))
        coded.append((parts, speed))
        bottom = min(bottom, int(np.append(cover.min(axis=1), 1).argmax()))  # what is behind is hidden from here on
    grain = GRAIN * (1 << coding.bits) * rng.standard_normal((height + 64, width + 64), np.float32)

    def frame(index: int) -> PlaneCodes:
        luma, cb, cr = (np.zeros((height // sub_y, width // sub_x), np.float32) for sub_y, sub_x in coding.subs)
        for parts, speed in reversed(coded):
            left = 2 * int(speed * index) % width  # even, because chroma may have half as many columns
            for plane, (rows, painted, clear), (_, sub_x) in zip((luma, cb, cr), parts, coding.subs, strict=True):
                columns = np.s_[:, left // sub_x : (left + width) // sub_x]
                plane[rows] *= clear[columns]
                plane[rows] += painted[columns]
        top, left = np.random.default_rng([seed, index]).integers(0, 64, 2)
        for plane in (luma, cb, cr) if coding.tags.matrix == "rgb" else (luma,):
            plane += grain[top : top + height, left : left + width]
        return luma, cb, cr

    return frame


def _in_primaries(light: Light, coding: Coding) -> Light:
    """Light in the movie's primaries; for SDR, highlights roll off towards its white of 100 cd/m2."""
    light = np.maximum(light @ rgb_to_rgb("bt709", coding.tags.primaries).T.astype(np.float32), 0)
    return light if is_hdr(coding.tags.transfer) else np.asarray(100 * (1 - np.exp(-light / 80)), np.float32)


def noise(rng: np.random.Generator, height: int, width: int, slope: float, stretch: float = 1.0) -> Field:
    """Periodic 1/f^slope noise, mean 0, deviation 1; ``stretch`` is the width of its features over their height."""
    fy = np.fft.fftfreq(height, 1 / height).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(width, 1 / height).astype(np.float32)[None, :] * np.float32(stretch)
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), np.float32))
    spectrum /= np.maximum(np.hypot(fy, fx), 1) ** np.float32(slope)
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(noise / noise.std(), np.float32)


def _mix(first: Field, second: Field, share: Field) -> Field:
    return np.asarray(first + (second - first) * share, np.float32)


def _across(x: Field, place: float) -> Field:
    """Signed distance to a column, ``place`` from 0 to 1, the shorter way round."""
    period = x[0, -1] + x[0, 0]
    return np.asarray((x - (place - 0.5) * period) % period - period / 2)


def _sky(rng: np.random.Generator, scene: Scene, y: Field, x: Field) -> tuple[Light, Field]:
    zenith, horizon, clouds, sun = np.array([*scene.sky, scene.sun[0]], np.float32)
    down = np.minimum(y / scene.rows[0][1], 1)[..., None] ** 1.4
    away = np.hypot(_across(x, scene.sun[1]), y - scene.sun[2])
    glow = (0.25 * np.exp(-away / 0.05) + 0.1 * np.exp(-away / 0.2))[..., None]
    light = _mix(zenith, horizon, down) + glow * sun * min(1, 7 * horizon.max() / sun.max())
    light = _mix(light, sun, np.clip((SUN_RADIUS - away) * y.size + 0.5, 0, 1)[..., None])
    billows = noise(rng, y.size, x.size, 1.6, 2)
    cover = np.clip(0.5 * billows - 0.1, 0, 0.9)[..., None]
    shade = 0.8 + 0.15 * np.tanh(6 * (billows - np.roll(billows, -max(1, y.size // 60), axis=0)))[..., None]
    return _mix(light, clouds * (shade + glow), cover), np.ones_like(away)


def _row(rng: np.random.Generator, scene: Scene, number: int, y: Field, x: Field) -> tuple[Light, Field]:
    kind, top, roughness, rgb = scene.rows[number]
    horizon, colour, sun = np.array([scene.sky[1], rgb, scene.sun[0]], np.float32)
    relief = noise(rng, y.size, x.size, *TEXTURES[kind])
    outline = np.full_like(x, top)
    if kind == "towers":
        walls = np.sort(rng.uniform(0, x[0, -1], int(12 * x[0, -1])))
        outline -= rng.uniform(0, 0.26, len(walls) + 1).astype(np.float32)[np.searchsorted(walls, x)]
    elif kind != "water":
        outline -= 0.05 * noise(rng, 1, x.size, roughness, y.size)
    under = np.maximum(y - outline, 0)
    if kind == "water":
        light = _mix(horizon, colour, np.minimum(0.4 + 3 * under, 1)[..., None]) * np.exp(0.25 * relief)[..., None]
        beam = np.exp(-((_across(x, scene.sun[1]) / (SUN_RADIUS * (1 + 9 * under))) ** 2))
        light += 0.4 * sun * (beam * np.clip(relief - 0.5, 0, 2))[..., None]
    else:
        slope = relief - np.roll(relief, max(1, y.size // 240), axis=1)
        shading = np.exp(np.clip(0.35 * slope / slope.std() + 0.15 * relief, -2, 1))[..., None]
        tint = 1 + 0.15 * np.tanh(np.roll(relief, x.size // 2, axis=1))[..., None] * np.array([1, 0, -1], np.float32)
        light = colour * shading * tint
        if kind == "towers":
            light += _windows(rng, y / top, x / top)
        light = _mix(light, horizon, 0.5 * 0.3**number * np.minimum(0.7 + 2 * under, 1)[..., None])
    return light, np.clip((y - outline) * y.size + np.float32(0.5), 0, 1)


def _windows(rng: np.random.Generator, y: Field, x: Field) -> Light:
    """Warm lights on a grid, most of them dark, the brightest 200 cd/m2."""
    down, along = y / 0.045, x / 0.034
    lights = 200 * rng.random((int(down[-1, 0]) + 1, int(along[0, -1]) + 1), np.float32) ** 10
    panes = (np.abs(down % 1 - 0.5) < 0.28) & (np.abs(along % 1 - 0.5) < 0.3)
    warm = np.array([1, 0.7, 0.35], np.float32)
    return np.asarray((lights[down.astype(int), along.astype(int)] * panes)[..., None] * warm)


def _balls(rng: np.random.Generator, scene: Scene, y: Field, x: Field) -> tuple[Light, Field]:
    """Glossy balls, lit from the upper left."""
    light, cover = np.zeros((y.size, x.size, 3), np.float32), np.zeros((y.size, x.size), np.float32)
    sun = np.array(scene.sun[0], np.float32)
    for number, colour in enumerate(np.array(scene.balls, np.float32)):
        radius = float(rng.uniform(0.02, 0.055))
        u = _across(x, float(number + rng.uniform(0.2, 0.8)) / len(scene.balls)) / radius
        v = (y - float(rng.uniform(0.15, 0.4))) / radius
        away = np.hypot(u, v)
        facing = np.clip(0.64 * np.sqrt(np.maximum(1 - away**2, 0)) - 0.64 * v - 0.43 * u, 0, 1)[..., None]
        shine = colour * (0.25 + 0.75 * facing) + 0.8 * sun * facing**60
        inside = np.clip((1 - away) * radius * y.size + 0.5, 0, 1)
        light = np.where(inside[..., None] > 0, shine, light)
        cover = np.maximum(cover, inside)
    return light, cover
