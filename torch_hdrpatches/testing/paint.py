"""Scenery -> linear light: skies, water, land, balloons and lamps, painted from 1/f noise."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .scenery import Ridge, Scenery
from .signal import Light

Alpha: TypeAlias = NDArray[np.float32]
"""float32 (H, W): how much a layer covers, 0 to 1."""


def colour_light(colour: str, nits: float) -> Light:
    """Linear RGB of an sRGB hex colour whose white would have these cd/m2."""
    codes = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255
    return np.asarray(codes**2.2 * nits, np.float32)


def _noise(rng: np.random.Generator, height: int, width: int, slope: float, stretch: float = 1.0) -> Alpha:
    """1/f^slope noise of mean 0 and deviation 1; stretched features are that much wider than high."""
    fy = np.fft.fftfreq(height)[:, None] * height
    fx = np.fft.rfftfreq(width)[None, :] * height * stretch
    spectrum = np.fft.rfft2(rng.standard_normal((height, width), np.float32))
    spectrum /= np.maximum(np.hypot(fy, fx), 1) ** slope
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(noise / noise.std(), np.float32)


def ridge_outline(rng: np.random.Generator, kind: str, height: int, width: int) -> Alpha:
    """float32 (W,): how far a ridge rises above its mean height, in units of the picture's height."""
    x = np.arange(width, dtype=np.float64) / height
    waves = np.arange(1, 60)
    falloff = waves ** (-2.2 if kind == "dune" else -1.5)
    base = 0.05 * np.sin(1.7 * x[:, None] * waves + rng.uniform(0, 2 * np.pi, waves.size)) @ falloff
    rise = np.zeros(width)
    if kind == "trees":
        for centre in rng.uniform(0, x[-1], int(x[-1] * 26)):
            tall, away = rng.uniform(0.04, 0.16), np.abs(x - centre)
            # A conifer: a cone whose edge is notched by its branches.
            cone = tall - away * 3.4
            rise = np.maximum(rise, cone + 0.016 * np.abs(cone * 60 % 1 - 0.5))
        base *= 0.5
    if kind == "towers":
        for left in np.arange(0, x[-1], 0.07):
            start, wide, tall = left + rng.uniform(-0.02, 0.02), rng.uniform(0.05, 0.12), rng.uniform(0.0, 0.26)
            inside = (x >= start) & (x < start + wide)
            rise[inside] = np.maximum(rise[inside], tall)
    return (rise + (0 if kind in ("water", "towers") else base)).astype(np.float32)


def mix(one: Any, other: Any, share: Any) -> Any:
    """``one`` where share is 0, ``other`` where it is 1."""
    return one * (1 - share) + other * share


def _grid(height: int, width: int) -> tuple[Alpha, Alpha]:
    """y and x of every pixel in units of the height, float32 (H, 1) and (1, W)."""
    return (
        (np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5)) / np.float32(height),
        (np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5)) / np.float32(height),
    )


def paint_sky(rng: np.random.Generator, scenery: Scenery, height: int, width: int, aspect: float) -> Light:
    """Gradient, sun with its glow, and clouds. ``aspect``: of the part that is in view, for the sun's place in it."""
    y, x = _grid(height, width)
    horizon = scenery.ridges[0].top
    down = np.clip(y / horizon, 0, 1)[..., None] ** 1.4
    sky = mix(colour_light(scenery.zenith, scenery.sky_nits), colour_light(scenery.horizon, scenery.sky_nits), down)
    sky = np.broadcast_to(sky, (height, width, 3)).copy()
    sun_x, sun_y, radius, colour, nits = scenery.sun
    away = np.hypot(x - sun_x * aspect, y - sun_y) / radius
    glow = np.exp(-away / 4) * 0.10 + np.exp(-away / 1.3) * 0.25
    sky += glow[..., None] * colour_light(colour, min(nits, 7 * scenery.sky_nits))
    disc = np.clip((1 - away) * radius * height + 0.5, 0, 1)[..., None]
    sky = mix(sky, colour_light(colour, nits), disc)
    billows = _noise(rng, height, width, 1.55, 2.6)
    cover = np.clip((billows - 1.1 + 1.6 * scenery.cloudiness) / 2.2, 0, 1)
    cover = cover * cover * (3 - 2 * cover) * np.clip(1.25 - 0.55 * y / horizon, 0, 1) * 0.85
    shade = 0.80 + 0.20 * np.tanh(6 * (billows - np.roll(billows, -max(1, height // 60), axis=0)))
    cloud = colour_light(scenery.cloud, scenery.cloud_nits) * shade[..., None] * (0.75 + glow[..., None])
    return np.asarray(mix(sky, cloud, cover[..., None]), np.float32)


def paint_water(
    rng: np.random.Generator, scenery: Scenery, ridge: Ridge, height: int, width: int, aspect: float
) -> Light:
    """The sky's colour under ripples that grow towards the viewer, with the sun glittering on them."""
    y, x = _grid(height, width)
    depth = np.clip((y - ridge.top) / (1 - ridge.top), 0, 1)
    ripples = mix(_noise(rng, height, width, 0.9, 14.0), _noise(rng, height, width, 0.8, 5.0), depth)
    body = mix(
        colour_light(scenery.horizon, scenery.sky_nits),
        colour_light(ridge.colour, ridge.nits),
        0.45 + 0.55 * depth[..., None] ** 0.5,
    )
    water = body * np.clip(1 + 0.16 * ripples, 0.3, 2)[..., None]
    sun_x, _, radius, colour, nits = scenery.sun
    path = np.exp(-(((x - sun_x * aspect) / (radius * (1.2 + 3.0 * depth))) ** 2))
    glitter = np.clip(ripples - 0.4, 0, 2) * path
    return np.asarray(water + glitter[..., None] * colour_light(colour, 0.45 * nits), np.float32)


def paint_land(
    rng: np.random.Generator, scenery: Scenery, ridge: Ridge, height: int, width: int, under: Alpha
) -> Light:
    """Relief lit from the side, under haze. ``under``: depth of a pixel below the outline, in units of the height."""
    dune = ridge.kind == "dune"
    fine = {"hill": 0.75, "dune": 1.0, "trees": 0.55, "towers": 1.0}[ridge.kind]
    relief = _noise(rng, height, width, 2.2 if dune else 1.5, 3.0 if dune else 1.8)
    step = max(1, height // 120)
    slope = (relief - np.roll(relief, step, axis=1)) * height / step
    lit = np.tanh(slope / (14 if dune else 22))
    grain = _noise(rng, height, width, fine, 1.3)
    if dune:
        _, x = _grid(height, width)
        ripples = np.sin(230 * under * (1.25 - 0.6 * np.clip(under * 3, 0, 1)) + 5 * relief + 9 * x)
        grain = 0.6 * grain + 1.5 * ripples * np.clip(lit + 0.6, 0, 1) * np.clip(under * 10, 0, 1)
    strength = {"hill": 0.15, "dune": 0.08, "trees": 0.32, "towers": 0.06}[ridge.kind]
    brightness = np.clip(1 + 0.38 * lit + strength * grain, 0.12, 2.5)[..., None]
    tint = 1 + 0.10 * np.tanh(_noise(rng, height, width, 1.4))[..., None] * np.array([1.0, 0.15, -0.8], np.float32)
    land = colour_light(ridge.colour, ridge.nits) * brightness * tint
    if ridge.kind == "towers":
        land = land + _windows(rng, ridge, height, width)
    haze = ridge.haze * np.clip(0.75 + 1.5 * under, 0, 1.3)[..., None]
    return np.asarray(mix(land, colour_light(scenery.horizon, scenery.sky_nits), np.minimum(haze, 1)), np.float32)


def _windows(rng: np.random.Generator, ridge: Ridge, height: int, width: int) -> Light:
    high, wide = 0.022 * (0.6 + ridge.top), 0.014 * (0.6 + ridge.top)
    y, x = _grid(height, width)
    row, column = (y / high).astype(int), (x / wide).astype(int)
    lit = rng.random((row.max() + 1, column.max() + 1)) < 0.22
    nits = rng.uniform(25, 260, lit.shape) * lit
    warm = rng.random(lit.shape)[row, column][..., None] ** 2
    pane = (np.abs(y / high % 1 - 0.5) < 0.28) & (np.abs(x / wide % 1 - 0.5) < 0.30)
    colour = mix(colour_light("#ffc070", 1), colour_light("#cfe4ff", 1), warm)
    return np.asarray(colour * (nits[row, column] * pane)[..., None], np.float32)


def paint_balloon(colour: str, size: int, nits: float) -> tuple[Light, Alpha]:
    """A striped balloon and its basket, size x size."""
    v, u = np.mgrid[0 : 3 * size, 0 : 3 * size].astype(np.float32) / (1.5 * size) - 1 + 1 / (3 * size)
    body_u = u / (0.72 * np.where(v > 0, 1 - 0.55 * np.clip(v, 0, 1) ** 2, 1))
    body_v = (v + 0.18) / 0.80
    inside = body_u**2 + body_v**2 < 1
    bulge = np.sqrt(np.clip(1 - body_u**2 - body_v**2, 0, 1))
    gore = np.floor((np.arcsin(np.clip(body_u / np.sqrt(np.clip(1 - body_v**2, 1e-3, 1)), -1, 1)) / np.pi + 0.5) * 7)
    cloth = np.where((gore % 2 == 0)[..., None], colour_light(colour, nits), colour_light("#f6ead2", nits))
    shading = 0.30 + 0.75 * np.clip(0.45 * body_u - 0.45 * body_v + 0.75 * bulge, 0, 1.2)
    basket = (np.abs(u) < 0.11) & (np.abs(v - 0.88) < 0.09)
    light = np.where(inside[..., None], cloth * shading[..., None], colour_light("#7a5230", 0.5 * nits))
    alpha = (inside | basket).astype(np.float32)
    weight = np.maximum(_box(alpha[..., None]), 1e-6)
    return np.asarray(_box(light * alpha[..., None]) / weight, np.float32), weight[..., 0]


def paint_lamp(colour: str, size: int, nits: float) -> tuple[Light, Alpha]:
    """A paper lantern and its glow, size x size."""
    v, u = np.mgrid[0:size, 0:size].astype(np.float32) / (0.5 * size) - 1 + 1 / size
    away = np.hypot(u, v)
    alpha = 0.5 * np.clip(1 - away, 0, 1) ** 3 + np.clip((0.26 - away) * size / 2 + 0.5, 0, 1)
    core = np.clip(1.2 - away / 0.26, 0, 1)[..., None]
    return np.asarray(
        mix(colour_light(colour, 0.4 * nits), colour_light("#ffe0a8", nits), core), np.float32
    ), np.minimum(alpha, 1)


def _box(picture: Any) -> Any:
    """Mean of every 3 x 3 pixels."""
    height, width, channels = picture.shape
    return picture.reshape(height // 3, 3, width // 3, 3, channels).mean(axis=(1, 3))
