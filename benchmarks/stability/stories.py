"""The labelled generated movies: every kind of event and of stable scene, at random strengths."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.stability import shots as make
from benchmarks.stability.shots import COLUMNS, FRAMES, HEIGHT, MIDDLE, ROWS, WIDTH, Light, Shot

Scenes = Sequence[Light]


@dataclass(frozen=True)
class Story:
    """A movie with labels for its windows."""

    kind: str
    """Of the event; ``""`` for a stable scene."""
    variant: str
    """Description of the event or scene, for the report."""
    shot: Shot
    event: tuple[int, ...] = ()
    """Frames that differ from the previous one because of the event, or that show it."""
    needed: int = 1
    """Number of these changes that make a window show the event; a window with fewer, but some, has no label."""
    trail: tuple[int, ...] = ()
    """Frames that differ slightly because of the event; a window with some of them, but not the event, has no label."""

    def label(self, first: int, frames: int = 7) -> str | None:
        """The kind of the window that starts at frame ``first``; None if it has no label."""
        changes = set(range(first + 1, first + frames))
        if self.event and len(changes.intersection(self.event)) >= self.needed:
            return self.kind
        return "" if changes.isdisjoint((*self.event, *self.trail)) else None


def stories(rng: np.random.Generator, canvases: Scenes, footage: Sequence[Shot], rounds: int) -> Iterator[Story]:
    """Every kind of event and of stable scene, ``rounds`` times, with other scenes and strengths.

    ``footage``: parts of real clips without events; they are used as often as canvases.
    """
    scenes = _scenes(rng, canvases, footage)
    moving = filter(make.moves, _scenes(rng, canvases, footage))
    for _ in range(rounds):
        scene = partial(next, scenes)
        yield from _cuts(rng, scene, canvases)
        yield from _flashes(rng, scene)
        yield from _fades(rng, scene)
        yield from _frozen(partial(next, moving))
        yield from _empty(rng, scene)
        yield from _stable(rng, canvases)
        yield from _in_front(rng, scene)


def _scenes(rng: np.random.Generator, canvases: Scenes, footage: Sequence[Shot]) -> Iterator[Shot]:
    """An endless series of ordinary shots, never the same scene twice in a row."""
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
        yield Story("cut", "to another scene", joined(scene(), scene(), MIDDLE), (MIDDLE,))
    one, other = scene(), scene()
    gain = np.float32(one(MIDDLE - 1).mean() / other(MIDDLE).mean())
    yield Story("cut", "to a scene as bright", joined(one, lambda t: gain * other(t), MIDDLE), (MIDDLE,))
    canvas, path, shift, closer = _canvas(rng, canvases), make.calm(rng), rng.uniform(-60, 60), rng.uniform(1.35, 2)
    near = make.filmed(canvas, lambda t: make.View(path(t).x + shift, path(t).y, path(t).scale / closer))
    yield Story("cut", "closer to the same scene", joined(make.filmed(canvas, path), near, MIDDLE), (MIDDLE,))
    fast = make.filmed(_canvas(rng, canvases), make.pan(rng, rng.uniform(0.02, 0.06)))
    yield Story("cut", "from a fast pan", joined(fast, scene(), MIDDLE), (MIDDLE,))
    second = MIDDLE + int(rng.integers(2, 5))
    yield Story("cut", "twice", joined(joined(scene(), scene(), MIDDLE), scene(), second), (MIDDLE, second))


def _flashes(rng: np.random.Generator, scene: Callable[[], Shot]) -> Iterator[Story]:
    for whole in (True, False):
        once = {MIDDLE: float(np.exp(rng.uniform(np.log(20), np.log(120))))}
        yield Story("flash", "one frame lit", lit(scene(), rng, once, whole), (MIDDLE, MIDDLE + 1))
    high = float(np.exp(rng.uniform(np.log(30), np.log(150))))
    decay = lit(scene(), rng, {MIDDLE + k: high * 0.45**k for k in range(4)}, True)
    trail = (MIDDLE + 2, MIDDLE + 3, MIDDLE + 4)
    yield Story("flash", "dying away", decay, (MIDDLE, MIDDLE + 1), trail=trail)
    shot, level = scene(), rng.choice([0.0, 0.5, 80.0, 100.0])
    empty = joined(joined(shot, plain(level), MIDDLE), shot, MIDDLE + 1)
    yield Story("flash", "a black or white frame", empty, (MIDDLE, MIDDLE + 1))


def _fades(rng: np.random.Generator, scene: Callable[[], Shot]) -> Iterator[Story]:
    for length in (int(rng.integers(8, 17)), int(rng.integers(17, 49))):
        start = MIDDLE - length // 2 + int(rng.integers(-2, 3))
        if length >= FRAMES:
            start = -int(rng.integers(0, length - FRAMES + 8))
        event = tuple(t for t in range(1, FRAMES) if start < t <= start + length)
        needed = min(6, max(3, round(0.15 * length)))
        one, other, dark = scene(), scene(), plain(rng.choice([0.0, 0.0, 100.0]))
        in_signal = bool(rng.random() < 0.7)
        yield Story("fade", "out", mixed(one, dark, start, length, in_signal), event, needed)
        yield Story("fade", "in", mixed(dark, one, start, length, in_signal), event, needed)
        for _ in range(2):
            yield Story("fade", "dissolve", mixed(scene(), other, start, length, in_signal), event, needed)


def _frozen(scene: Callable[[], Shot]) -> Iterator[Story]:
    """Repeated or dropped frames: frame ``t`` shows frame ``time(t)`` of a shot."""
    times: dict[str, Callable[[int], int]] = {
        "24 to 30 per second": lambda t: t * 4 // 5,
        "drawn on twos": lambda t: t // 2 * 2,
        "one frame twice": lambda t: t if t < MIDDLE else t - 1,
        "held": lambda t: min(t, MIDDLE),
        "dropped and repeated": lambda t: t if t != MIDDLE else t - 1,
    }
    for variant, time in times.items():
        shot, repeats = scene(), tuple(t for t in range(1, FRAMES) if time(t) == time(t - 1))
        yield Story("frozen", variant, lambda t, shot=shot, time=time: shot(time(t)), repeats)


def _empty(rng: np.random.Generator, scene: Callable[[], Shot]) -> Iterator[Story]:
    everywhere = tuple(range(1, FRAMES))
    black = plain(rng.choice([0.0, 0.002, 0.02]))
    yield Story("black", "plain", black, everywhere, 6)
    yield Story("black", "with noise", make.grainy(black, rng, rng.uniform(0.002, 0.008)), everywhere, 6)
    yield Story("flat", "plain", plain(np.exp(rng.uniform(np.log(1), np.log(100)))), everywhere, 6)
    grey = plain(np.exp(rng.uniform(np.log(1), np.log(80))))
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
    ):
        shot = make.filmed(_canvas(rng, canvases), path, shutter=rng.choice([0.0, 0.5, 0.5]))
        strength = rng.choice([0, 0, 0.006, 0.02])
        yield Story("", variant, make.grainy(shot, rng, strength) if strength else shot)
    tripod = make.filmed(_canvas(rng, canvases), make.still(rng))
    someone = make.with_object(tripod, rng, rng.uniform(0.08, 0.25), rng.uniform(0.005, 0.02))
    yield Story("", "tripod, someone moves", make.grainy(someone, rng, rng.uniform(0.004, 0.02)))
    yield Story("", "water and smoke", make.boiling(_canvas(rng, canvases), rng, rng.uniform(0.004, 0.02)))


def _in_front(rng: np.random.Generator, scene: Callable[[], Shot]) -> Iterator[Story]:
    """Grain, darkness, lamps, and objects that cross the frame."""
    yield Story("", "heavy grain", make.grainy(scene(), rng, rng.uniform(0.02, 0.05)))
    bright = scene()
    yield Story("", "dark", make.grainy(lambda t: np.float32(0.03) * bright(t), rng, rng.uniform(0.002, 0.01)))
    yield Story("", "small fast object", make.with_object(scene(), rng, rng.uniform(0.06, 0.2), rng.uniform(0.03, 0.1)))
    yield Story("", "large object", make.with_object(scene(), rng, rng.uniform(0.25, 0.6), rng.uniform(0.01, 0.05)))
    yield Story("", "lamps that flicker", make.with_lamps(scene(), rng, int(rng.integers(2, 7)), rng.uniform(0.2, 0.6)))
    yield Story("", "light that flickers", make.with_flicker(scene(), rng, rng.uniform(0.005, 0.02)))
    yield Story("", "subtitle", make.subtitled(scene(), rng))


def joined(one: Shot, other: Shot, at: int) -> Shot:
    """A cut: frame ``at`` is the first of the other scene."""
    return lambda t: one(t) if t < at else other(t)


def mixed(one: Shot, other: Shot, start: int, length: int, in_signal: bool) -> Shot:
    """A dissolve of ``length`` frames, mixed in the signal, as in editing software, or in linear light."""
    power = 1 / 2.4 if in_signal else 1.0

    def frame(t: int) -> Light:
        share = np.float32(np.clip((t - start) / length, 0, 1))
        if share in (0, 1):
            return other(t) if share else one(t)
        return ((1 - share) * np.maximum(one(t), 0) ** power + share * np.maximum(other(t), 0) ** power) ** (1 / power)

    return frame


def plain(level: float) -> Shot:
    """A uniform grey, in cd/m2."""
    return lambda t: np.full((HEIGHT, WIDTH, 3), level, np.float32)


def lit(shot: Shot, rng: np.random.Generator, frames: dict[int, float], whole: bool) -> Shot:
    """A flash: ``frames`` maps frame numbers to added cd/m2, uniform or falling off from a point."""
    y, x = rng.uniform(0.2, 0.8) * HEIGHT, rng.uniform(0.2, 0.8) * WIDTH
    fall = np.float32(1) if whole else np.exp(-np.hypot(ROWS - y, COLUMNS - x) / 140)[..., None]

    def frame(t: int) -> Light:
        light = shot(t)
        return light + frames[t] * fall * (0.15 + 0.85 * light / (light.mean() + 1)) if t in frames else light

    return frame
