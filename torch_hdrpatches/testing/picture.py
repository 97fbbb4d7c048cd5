"""Painted landscapes in motion: coded layers that pan at their own speeds, balloons and lamps in front, and grain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..color.formulas import rgb_to_rgb
from ..color.names import is_hdr
from ..frames import ColorTags
from .paint import Alpha, mix, paint_balloon, paint_lamp, paint_land, paint_sky, paint_water, ridge_outline
from .scenery import SCENERIES
from .signal import Codes, Coding, Light

GRAIN = 0.004
"""Deviation of the grain, as a share of the signal."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Something painted and coded, ready to be laid over a picture."""

    planes: tuple[Codes, Codes, Codes]
    """Codes times cover, so that laying it over is one product and one sum."""
    clear: tuple[Codes, Codes]
    """1 - cover, at the size of the luma and of the chroma planes."""


def _graded(light: Light, tags: ColorTags) -> Light:
    """Painted light (BT.709) for the movie's primaries; highlights of SDR roll off towards its white of 100 cd/m2."""
    light = np.maximum(light @ rgb_to_rgb("bt709", tags.primaries).T.astype(np.float32), 0)
    if is_hdr(tags.transfer):
        return light
    peak = np.maximum(light.max(axis=-1, keepdims=True), 1e-3)
    rolled = np.where(peak < 25, peak, 100 - 75 * np.exp((25 - peak) / 130))
    paler = np.clip((peak - 150) / 700, 0, 1) ** 0.7
    return np.asarray(mix(light * (rolled / peak), rolled, paler), np.float32)


def _layer(coding: Coding, light: Light, cover: Alpha) -> Layer:
    luma, chroma, other = coding.planes(_graded(light, coding.tags))
    small = coding.subsample(cover)
    return Layer((luma * cover, chroma * small, other * small), (1 - cover, 1 - small))


def _lay_over(canvas: tuple[Codes, Codes, Codes], layer: Layer, sub: tuple[int, int], top: int, left: int) -> None:
    """Lay a layer over a picture, in place, its corner at an even (top, left) that may be outside."""
    for plane, paint, clear, (sub_y, sub_x) in zip(
        canvas, layer.planes, (layer.clear[0], layer.clear[1], layer.clear[1]), ((1, 1), sub, sub), strict=True
    ):
        y, x = top // sub_y, left // sub_x
        here = np.s_[max(y, 0) : max(y + paint.shape[0], 0), max(x, 0) : max(x + paint.shape[1], 0)]
        part = plane[here]
        there = np.s_[max(-y, 0) : max(-y, 0) + part.shape[0], max(-x, 0) : max(-x, 0) + part.shape[1]]
        part *= clear[there]
        part += paint[there]


def _even(position: float) -> int:
    """A whole position that has a chroma sample."""
    return int(position // 2 * 2)


def _drift(way: float, margin: int) -> int:
    """To and fro within a margin, at a steady pace."""
    return _even(margin - abs(margin - way % (2 * margin)))


def shot(name: str, coding: Coding, height: int, width: int, seed: int) -> Callable[[int], tuple[Codes, Codes, Codes]]:
    """A painter of one scene: picture index -> unrounded planes. Slow to set up, quick for each picture."""
    scenery = SCENERIES[name]
    rng = np.random.default_rng([seed, *name.encode()])
    margin = _even(0.15 * width) + 2
    pace = height / 360
    wide, aspect = width + margin, width / height
    sky = coding.planes(_graded(paint_sky(rng, scenery, height, wide, aspect), coding.tags))

    ridges = []
    rows = np.arange(height, dtype=np.float32)[:, None]
    for number, ridge in enumerate(scenery.ridges):
        outline = np.float32(height) * (np.float32(ridge.top) - ridge_outline(rng, ridge.kind, height, wide))
        top = _even(max(outline.min() - 2, 0))
        if ridge.kind == "water":
            light, speed = paint_water(rng, scenery, ridge, height, wide, aspect), 0.3 * pace
        else:
            under = np.asarray(np.maximum(rows - outline, 0) / height, np.float32)
            light, speed = paint_land(rng, scenery, ridge, height, wide, under), (0.5 + 0.8 * number) * pace
        cover = np.clip(rows - outline + np.float32(0.5), 0, 1)
        ridges.append((_layer(coding, light[top:], cover[top:]), top, speed))

    floaters = []
    for number in range(9 if scenery.lamps else len(scenery.floaters)):
        colour = scenery.floaters[number % len(scenery.floaters)]
        size = _even(height * rng.uniform(0.10, 0.26) * (0.6 if scenery.lamps else 1 - 0.15 * number)) + 2
        paint = paint_lamp(colour, size, 700) if scenery.lamps else paint_balloon(colour, size, 1.1 * scenery.sky_nits)
        x, y = (number + rng.uniform(0.2, 0.8)) / len(scenery.floaters) * width, height * rng.uniform(0.08, 0.4)
        floaters.append((_layer(coding, *paint), x, y, size, pace * rng.uniform(0.6, 2.2)))

    grain = GRAIN * (1 << coding.bits) * rng.standard_normal((height + 64, wide + 64), np.float32)

    def picture(index: int) -> tuple[Codes, Codes, Codes]:
        left, sub_x = _drift(0.3 * pace * index, margin), coding.sub[1]
        luma, cb, cr = (
            plane[:, left // sub : (left + width) // sub].copy()
            for plane, sub in zip(sky, (1, sub_x, sub_x), strict=True)
        )
        canvas = luma, cb, cr
        for layer, top, speed in ridges:
            _lay_over(canvas, layer, coding.sub, top, -_drift(speed * index, margin))
        for layer, x, y, size, speed in floaters:
            across = (x + speed * index + size) % (width + 2 * size) - 2 * size
            bob = 0.03 * height * np.sin(index / 19 + x)
            _lay_over(canvas, layer, coding.sub, _even(y + bob), _even(across))
        grain_y, grain_x = np.random.default_rng([seed, index]).integers(0, 64, 2)
        for plane in canvas if coding.tags.matrix == "rgb" else canvas[:1]:
            plane += grain[grain_y : grain_y + height, grain_x : grain_x + width]
        return canvas

    return picture
