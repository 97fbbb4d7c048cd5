"""The labelled set of `scene_stability.py`: which movies are made, with what in them, at which strength."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import scene_movies as make
from scene_movies import FRAMES, MIDDLE, Light, Shot, Story

Scenes = Sequence[Light]
"""Canvases of one half of the set."""


def stories(rng: np.random.Generator, canvases: Scenes, footage: Sequence[Shot], rounds: int) -> Iterator[Story]:
    """Every kind of event and of stable scene, ``rounds`` times with other scenes and strengths.

    ``footage`` are stretches of real clips without any event; they are filmed as often as canvases.
    """
    scenes = _scenes(rng, canvases, footage)
    for _ in range(rounds):
        scene = partial(next, scenes)
        yield from _cuts(rng, scene, canvases)
        yield from _flashes(rng, scene)
        yield from _fades(rng, scene)
        yield from _frozen(rng, scene)
        yield from _empty(rng, scene)
        yield from _stable(rng, canvases)
        yield from _in_front(rng, scene)


def _scenes(rng: np.random.Generator, canvases: Scenes, footage: Sequence[Shot]) -> Iterator[Shot]:
    """Ordinary shots without end, no scene twice in a row."""
    last = -1
    while True:
        order = rng.permutation(len(canvases) + len(footage))
        for index in order if order[0] != last else order[1:]:
            if index < len(canvases):
                shot = make.filmed(canvases[index], make.calm(rng))
                yield make.grainy(shot, rng, rng.uniform(0, 0.012)) if rng.random() < 0.5 else shot
            else:
                yield footage[index - len(canvases)]
            last = index


def _canvas(rng: np.random.Generator, canvases: Scenes) -> Light:
    return canvases[rng.integers(len(canvases))]


def _cuts(rng: np.random.Generator, scene: Callable[[], Shot], canvases: Scenes) -> Iterator[Story]:
    for _ in range(2):
        yield Story("cut", "to another scene", make.joined(scene(), scene(), MIDDLE), (MIDDLE,))
    one, other = scene(), scene()
    gain = np.float32(one(MIDDLE - 1).mean() / other(MIDDLE).mean())
    yield Story("cut", "to a scene as bright", make.joined(one, lambda t: gain * other(t), MIDDLE), (MIDDLE,))
    canvas, path = _canvas(rng, canvases), make.calm(rng)
    near = make.filmed(canvas, lambda t: make.View(path(t).x + rng_shift, path(t).y, path(t).scale / punch))
    rng_shift, punch = rng.uniform(-60, 60), rng.uniform(1.35, 2)
    yield Story("cut", "closer to the same scene", make.joined(make.filmed(canvas, path), near, MIDDLE), (MIDDLE,))
    fast = make.filmed(_canvas(rng, canvases), make.pan(rng, rng.uniform(0.02, 0.06)))
    yield Story("cut", "from a fast pan", make.joined(fast, scene(), MIDDLE), (MIDDLE,))
    second = MIDDLE + int(rng.integers(2, 5))
    short = make.joined(make.joined(scene(), scene(), MIDDLE), scene(), second)
    yield Story("cut", "twice", short, (MIDDLE, second))


def _flashes(rng: np.random.Generator, scene: Callable[[], Shot]) -> Iterator[Story]:
    for whole in (True, False):
        lit = {MIDDLE: float(np.exp(rng.uniform(np.log(20), np.log(120))))}
        yield Story("flash", "one picture lit", make.lit(scene(), rng, lit, whole), (MIDDLE, MIDDLE + 1))
    start, high = MIDDLE, float(np.exp(rng.uniform(np.log(30), np.log(150))))
    decay = {start + k: high * 0.45**k for k in range(4)}
    yield Story(
        "flash",
        "dying away",
        make.lit(scene(), rng, decay, True),
        (start, start + 1),
        trail=(start + 2, start + 3, start + 4),
    )
    shot, level = scene(), rng.choice([0.0, 0.5, 80.0, 100.0])
    empty = make.joined(make.joined(shot, make.plain(level), MIDDLE), shot, MIDDLE + 1)
    yield Story("flash", "a black or white picture", empty, (MIDDLE, MIDDLE + 1))


def _fades(rng: np.random.Generator, scene: Callable[[], Shot]) -> Iterator[Story]:
    for length in (int(rng.integers(8, 17)), int(rng.integers(17, 49))):
        begin = min(MIDDLE, length // 2)
        start = (
            MIDDLE - begin + int(rng.integers(-2, 3)) if length < FRAMES else -int(rng.integers(0, length - FRAMES + 8))
        )
        event = tuple(t for t in range(1, FRAMES) if start < t <= start + length)
        needed = max(3, round(0.15 * length))
        one, other, dark = scene(), scene(), make.plain(rng.choice([0.0, 0.0, 100.0]))
        in_signal = bool(rng.random() < 0.7)
        yield Story("fade", "out", make.mixed(one, dark, start, length, in_signal), event, needed)
        yield Story("fade", "in", make.mixed(dark, one, start, length, in_signal), event, needed)
        for _ in range(2):
            yield Story("fade", "dissolve", make.mixed(scene(), other, start, length, in_signal), event, needed)


def _frozen(rng: np.random.Generator, scene: Callable[[], Shot]) -> Iterator[Story]:
    every = list(range(FRAMES))
    pulldown = [t * 4 // 5 for t in every]
    twos = [t // 2 * 2 for t in every]
    once = [t if t < MIDDLE else t - 1 for t in every]
    held = [min(t, MIDDLE) for t in every]
    dropped = [t if t != MIDDLE else t - 1 for t in every]
    for variant, times in (
        ("24 to 30 per second", pulldown),
        ("drawn on twos", twos),
        ("one picture twice", once),
        ("held", held),
        ("dropped and repeated", dropped),
    ):
        yield Story("frozen", variant, make.retimed(scene(), times), make.repeats(times))


def _empty(rng: np.random.Generator, scene: Callable[[], Shot]) -> Iterator[Story]:
    everywhere = tuple(range(1, FRAMES))
    black = make.plain(rng.choice([0.0, 0.002, 0.02]))
    yield Story("black", "plain", black, everywhere, 6)
    yield Story("black", "with noise", make.grainy(black, rng, rng.uniform(0.002, 0.008)), everywhere, 6)
    yield Story("flat", "plain", make.plain(np.exp(rng.uniform(np.log(1), np.log(100)))), everywhere, 6)
    grey = make.plain(np.exp(rng.uniform(np.log(1), np.log(80))))
    yield Story("flat", "with grain", make.grainy(grey, rng, rng.uniform(0.004, 0.02)), everywhere, 6)


def _stable(rng: np.random.Generator, canvases: Scenes) -> Iterator[Story]:
    """Cameras that move in every way."""
    for variant, path in (
        ("slow pan", make.pan(rng, rng.uniform(0.0005, 0.01))),
        ("pan", make.pan(rng, rng.uniform(0.01, 0.03))),
        ("fast pan", make.pan(rng, rng.uniform(0.03, 0.05), direction=0)),
        ("very fast pan", make.pan(rng, rng.uniform(0.05, 0.08), direction=np.pi)),
        ("pan that speeds up", make.pan(rng, rng.uniform(0.01, 0.03), ease=0.1)),
        ("tilt", make.pan(rng, rng.uniform(0.01, 0.03), direction=np.pi / 2)),
        ("zoom in", make.zoom(rng, -rng.uniform(0.005, 0.04))),
        ("zoom out", make.zoom(rng, rng.uniform(0.005, 0.04))),
        ("roll", make.roll(rng, rng.uniform(0.5, 3))),
        ("shake", make.shake(rng, rng.uniform(0.005, 0.012))),
        ("hard shake", make.shake(rng, rng.uniform(0.012, 0.025))),
        ("tripod", make.still(rng)),
    ):
        shot = make.filmed(_canvas(rng, canvases), path, shutter=rng.choice([0.0, 0.5, 0.5]))
        strength = rng.uniform(0.004, 0.015) if variant == "tripod" else rng.choice([0, 0, 0.006, 0.02])
        yield Story("", variant, make.grainy(shot, rng, strength) if strength else shot)
    boiling = make.boiling(_canvas(rng, canvases), rng, rng.uniform(0.004, 0.02))
    yield Story("", "water and smoke", boiling)


def _in_front(rng: np.random.Generator, scene: Callable[[], Shot]) -> Iterator[Story]:
    """Grain, darkness, lamps and things that cross the picture."""
    yield Story("", "heavy grain", make.grainy(scene(), rng, rng.uniform(0.02, 0.05)))
    dark = scene()
    yield Story("", "dark", make.grainy(lambda t: np.float32(0.03) * dark(t), rng, rng.uniform(0.002, 0.01)))
    yield Story("", "small fast object", make.with_object(scene(), rng, rng.uniform(0.06, 0.2), rng.uniform(0.03, 0.1)))
    yield Story("", "large object", make.with_object(scene(), rng, rng.uniform(0.25, 0.6), rng.uniform(0.01, 0.05)))
    yield Story("", "lamps that flicker", make.with_lamps(scene(), rng, int(rng.integers(2, 7)), rng.uniform(0.2, 0.6)))
    yield Story("", "light that flickers", make.with_flicker(scene(), rng, rng.uniform(0.005, 0.02)))
    yield Story("", "subtitle", make.subtitled(scene(), rng))
