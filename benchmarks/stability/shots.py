"""The generated shots: canvases, cameras that move over them, and events in front of the camera."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from torch_hdrpatches.color.formulas import eotf_bt1886
from torch_hdrpatches.testing import MovieSpec, write_movie

Light = NDArray[np.float32]
Shot = Callable[[int], Light]
"""Frame index -> float32 (HEIGHT, WIDTH, 3): linear light in cd/m2."""

HEIGHT, WIDTH, FRAMES = 180, 320, 18
CANVAS = CANVAS_HEIGHT, CANVAS_WIDTH = 540, 960  # larger than a frame, so that a camera can pan, zoom and shake
MIDDLE = 9  # the frame at which events happen
ROWS, COLUMNS = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)


def noise(rng: np.random.Generator, height: int, width: int, slope: float) -> Light:
    """1/f^slope noise, mean 0, deviation 1. Not the painter's noise, so that the labelled windows stay as they are."""
    fy, fx = np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width)[None] * width
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / np.maximum(np.hypot(fy, fx), 1) ** slope
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(field / field.std(), np.float32)


def abstract_canvas(rng: np.random.Generator) -> Light:
    """Smooth noise with plain, striped and textured shapes on it, at a random brightness."""
    level = np.exp(rng.uniform(np.log(4), np.log(90)))
    tint = rng.uniform(0.6, 1.4, 3)
    ground = np.exp(rng.uniform(0.2, 0.7) * noise(rng, *CANVAS, rng.uniform(1.2, 2.0)))
    canvas = (level * ground[..., None] * tint).astype(np.float32)
    rows, columns = np.mgrid[:CANVAS_HEIGHT, :CANVAS_WIDTH].astype(np.float32)
    for _ in range(int(rng.integers(5, 45))):
        y, x, size = *rng.uniform(0, CANVAS), np.exp(rng.uniform(np.log(12), np.log(160)))
        angle, aspect = rng.uniform(0, np.pi), rng.uniform(0.3, 1)
        along = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
        across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
        if rng.random() < 0.5:
            inside = np.hypot(along, across / aspect) < size
        else:
            inside = (np.abs(along) < size) & (np.abs(across) < size * aspect)
        paint = level * np.exp(rng.uniform(-1.8, 1.6)) * rng.uniform(0.6, 1.4, 3)
        texture = np.ones((int(inside.sum()), 1))
        style = rng.random()
        if style < 0.3:
            texture = 1 + 0.7 * np.sign(np.sin(along[inside] / rng.uniform(2, 9)))[:, None]
        elif style < 0.6:
            texture = np.exp(0.5 * noise(rng, *CANVAS, 0.8)[inside])[:, None]
        canvas[inside] = paint * texture
    return cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.8, 1.5))


def painted_canvas(folder: Path, scene: str, seed: int) -> Light:
    """A frame of a painted scene of ``torch_hdrpatches.testing``."""
    spec = MovieSpec(
        height=CANVAS_HEIGHT, width=CANVAS_WIDTH, frames=1, transfer="bt709", scenes=(scene,), numbers=False, seed=seed
    )
    with av.open(str(write_movie(folder / "canvas.mkv", spec))) as container:
        rgb = next(container.decode(video=0)).to_ndarray(format="rgb24")
    return np.asarray(100 * eotf_bt1886(rgb / 255), np.float32)


@dataclass(frozen=True)
class View:
    """Position of a camera: centre in canvas pixels, canvas pixels per frame pixel, roll in degrees."""

    x: float = CANVAS_WIDTH / 2
    y: float = CANVAS_HEIGHT / 2
    scale: float = 1.6
    roll: float = 0.0


Camera = Callable[[float], View]
"""Time in frames -> position."""


def seen(canvas: Light, view: View) -> Light:
    """The part of a canvas in a view, by bilinear interpolation; the canvas is mirrored at its edges."""
    turn = np.deg2rad(view.roll)
    a, b = view.scale * np.cos(turn), view.scale * np.sin(turn)
    y, x = (HEIGHT - 1) / 2, (WIDTH - 1) / 2
    matrix = np.array([[a, -b, view.x - a * x + b * y], [b, a, view.y - b * x - a * y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(canvas, matrix, (WIDTH, HEIGHT), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def filmed(canvas: Light, path: Camera, shutter: float = 0.5) -> Shot:
    """A canvas filmed by a moving camera; ``shutter`` is the exposure time, as a share of the frame time."""
    return lambda t: np.mean([seen(canvas, path(t + shutter * k / 4)) for k in range(5 if shutter else 1)], 0)


def pan(rng: np.random.Generator, speed: float, direction: float | None = None, ease: float = 0.0) -> Camera:
    """A pan of ``speed`` frame widths per frame; ``ease`` is the change of speed per frame, as a share of it."""
    angle = rng.uniform(0, 2 * np.pi) if direction is None else direction
    step = 1.6 * WIDTH * speed
    x, y = rng.uniform(0.3, 0.7) * CANVAS_WIDTH, rng.uniform(0.3, 0.7) * CANVAS_HEIGHT

    def path(t: float) -> View:
        way = step * (t - MIDDLE + ease * (t - MIDDLE) ** 2 / 2)
        return View(x + way * np.cos(angle), y + way * np.sin(angle))

    return path


def zoom(rng: np.random.Generator, rate: float) -> Camera:
    """A zoom by ``rate`` per frame."""
    x, y = rng.uniform(0.4, 0.6) * CANVAS_WIDTH, rng.uniform(0.4, 0.6) * CANVAS_HEIGHT
    return lambda t: View(x, y, 1.2 * (1 + rate) ** (t - MIDDLE))


def roll(rng: np.random.Generator, degrees: float) -> Camera:
    """A roll by ``degrees`` per frame."""
    start = rng.uniform(0, 360)
    return lambda t: View(roll=start + degrees * t)


def shake(rng: np.random.Generator, size: float) -> Camera:
    """A hand-held camera: random steps with a deviation of ``size`` frame widths, and a little roll."""
    knots = rng.standard_normal((FRAMES + 3, 3))
    knots[1:-1] = (knots[:-2] + 2 * knots[1:-1] + knots[2:]) / 4 * 1.6

    def path(t: float) -> View:
        at, share = int(t), t - int(t)
        x, y, angle = (1 - share) * knots[at] + share * knots[at + 1]
        step = 1.13 * WIDTH * size
        return View(CANVAS_WIDTH / 2 + step * x, CANVAS_HEIGHT / 2 + step * y, roll=60 * size * angle)

    return path


def still(rng: np.random.Generator) -> Camera:
    """A camera on a tripod."""
    view = View(rng.uniform(0.3, 0.7) * CANVAS_WIDTH, rng.uniform(0.35, 0.65) * CANVAS_HEIGHT, rng.uniform(1.0, 1.7))
    return lambda t: view


def calm(rng: np.random.Generator) -> Camera:
    """A usual camera: a slow pan, a slow zoom, or hand-held."""
    match rng.integers(4):
        case 0:
            return pan(rng, rng.uniform(0.002, 0.02))
        case 1:
            return zoom(rng, rng.uniform(0.002, 0.008) * rng.choice([-1, 1]))
        case 2:
            return shake(rng, rng.uniform(0.001, 0.006))
    return pan(rng, rng.uniform(0.01, 0.04), direction=0)


def moves(shot: Shot) -> bool:
    """Whether a repeated frame would be visible in a shot: all steps are above one 8-bit code, without grain."""

    def small(t: int) -> Light:
        return cv2.resize(_signal(shot(t)), (WIDTH // 8, HEIGHT // 8), interpolation=cv2.INTER_AREA)

    return min(abs(small(t + 1) - small(t)).mean() for t in range(0, FRAMES, 3)) > 1 / 255


def _signal(light: Light) -> Light:
    return (np.maximum(light, 0) / 100) ** (1 / 2.4)


def grainy(shot: Shot, rng: np.random.Generator, strength: float) -> Shot:
    """Film grain, new in every frame; ``strength`` is its deviation as a share of the signal range."""
    seed = int(rng.integers(1 << 30))

    def frame(t: int) -> Light:
        grain = np.random.default_rng([seed, t]).standard_normal((HEIGHT, WIDTH, 1), np.float32)
        blurred = cv2.GaussianBlur(grain, (0, 0), 0.6)[..., None]
        return 100 * np.maximum(_signal(shot(t)) + strength * blurred * 1.6, 0) ** 2.4

    return frame


def with_object(shot: Shot, rng: np.random.Generator, size: float, speed: float) -> Shot:
    """A textured disc of ``size`` frame heights that crosses at ``speed`` frame widths per frame."""
    side = max(6, int(size * HEIGHT))
    texture = np.exp(0.5 * noise(rng, side, side, 1.2))[..., None]
    paint = texture * rng.uniform(0.5, 1.5, 3) * np.exp(rng.uniform(0.5, 4.5))
    angle, y0, x0 = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.7) * HEIGHT, rng.uniform(0.3, 0.7) * WIDTH

    def frame(t: int) -> Light:
        way = speed * WIDTH * (t - MIDDLE)
        y, x = y0 + way * np.sin(angle), x0 + way * np.cos(angle)
        out = shot(t).copy()
        inside = np.hypot(ROWS - y, COLUMNS - x) < side / 2
        v, u = (ROWS[inside] - y + side / 2).astype(int), (COLUMNS[inside] - x + side / 2).astype(int)
        out[inside] = paint[np.clip(v, 0, side - 1), np.clip(u, 0, side - 1)]
        return out

    return frame


def with_lamps(shot: Shot, rng: np.random.Generator, count: int, depth: float) -> Shot:
    """Glowing lamps that flicker by up to ``depth`` of their light."""
    glows = []
    for _ in range(count):
        away = np.hypot(ROWS - rng.uniform(0, HEIGHT), COLUMNS - rng.uniform(0, WIDTH))
        fall = np.exp(-away / rng.uniform(5, 22))[..., None]
        glows.append(fall * np.array([1, 0.8, 0.5], np.float32) * rng.uniform(30, 120))
    levels = 1 - depth * rng.random((FRAMES, count))
    return lambda t: shot(t) + sum(level * glow for level, glow in zip(levels[t], glows, strict=True))


def with_flicker(shot: Shot, rng: np.random.Generator, depth: float) -> Shot:
    """Brightness that differs by a few per cent between frames, as under mains lamps or in old films."""
    gains = 1 + depth * rng.standard_normal(FRAMES)
    return lambda t: shot(t) * np.float32(gains[t])


def boiling(canvas: Light, rng: np.random.Generator, speed: float) -> Shot:
    """Water, smoke or fire: a fixed view under textures that move over each other."""
    field, other = (np.exp(0.6 * noise(rng, *CANVAS, 1.3))[..., None] for _ in range(2))
    up, side = pan(rng, speed, direction=np.pi / 2), pan(rng, 0.6 * speed)
    view = still(rng)
    return lambda t: seen(canvas, view(t)) * (seen(field, up(t)) * seen(other, side(t)))[..., None]


def subtitled(shot: Shot, rng: np.random.Generator) -> Shot:
    """Two lines of white marks that appear at the bottom."""
    marks = np.zeros((HEIGHT, WIDTH), bool)
    for top in (142, 158):
        letters = rng.random((10, 60)) < 0.5
        marks[top : top + 10, 70:250] = np.repeat(letters, 3, axis=1)
    return lambda t: np.where((marks & (t >= MIDDLE))[..., None], np.float32(90), shot(t))
