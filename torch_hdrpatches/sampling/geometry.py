"""Positions of pixels in a frame as decoded, scaled to the working size, and turned upright."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..frames import Box, ColorTags, Plane, Planes
from ..recipe.settings import Sampling
from ..transforms.resize import resample, working_size
from ..video.facts import Facts


@dataclass(frozen=True, slots=True)
class Geometry:
    """Maps boxes in upright working pixels to decoded pixels."""

    decoded: tuple[int, int]
    """Height, width as decoded."""
    working: tuple[int, int]
    """Height, width at the working size, before rotation."""
    rotation: int
    """Degrees clockwise from decoded to upright: 0, 90, 180, 270."""
    active: Box
    """The picture area inside the black bars, upright, in working pixels."""

    @classmethod
    def of(cls, facts: Facts, sampling: Sampling) -> Geometry:
        """The geometry of a movie under a recipe."""
        working = decoded = (facts.height, facts.width)
        if sampling.frame_size != "native":
            long, short = max(sampling.frame_size), min(sampling.frame_size)
            # Portrait frames are fitted into the size turned upright, so that movies from phones keep their resolution.
            working = working_size(*decoded, (long, short) if decoded[1] >= decoded[0] else (short, long))
        area = facts.active if sampling.crop_black_bars else Box(0, 0, *decoded)
        scaled = _shrunk(area, decoded, working)
        return cls(decoded, working, facts.rotation, turn(scaled, *working, facts.rotation))

    @property
    def is_scaled(self) -> bool:
        """Whether the working size differs from the decoded size."""
        return self.working != self.decoded

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height, width at the working size, after rotation."""
        return self.working[::-1] if self.rotation % 180 else self.working

    def region(self, frames: Sequence[Planes], box: Box, tags: ColorTags) -> tuple[Sequence[Planes], Box]:
        """The frames to convert, not yet upright, and where ``box`` lies in them. Only the box itself is scaled."""
        lying = self._lying(box)
        if not self.is_scaled:
            return frames, lying
        scaled = _Scaled(frames, partial(resample, box=lying, working=self.working, tags=tags))
        return scaled, Box(0, 0, lying.height, lying.width)

    def decoded_box(self, box: Box) -> Box:
        """The decoded pixels that ``box`` covers."""
        return _shrunk(self._lying(box), self.working, self.decoded)

    def _lying(self, box: Box) -> Box:
        return turn(box, *self.upright_size, -self.rotation % 360)

    def upright(self, patches: Plane) -> Plane:
        """Turn (T, h, w, 3) patches upright."""
        return np.ascontiguousarray(np.rot90(patches, -self.rotation // 90, axes=(1, 2)))


@dataclass(frozen=True, slots=True)
class _Scaled(Sequence[Planes]):
    """Frames that are scaled one at a time, on access: together they would not fit into the CPU's caches."""

    frames: Sequence[Planes]
    scale: Callable[[Planes], Planes]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: Any) -> Any:
        return self.scale(self.frames[index])


def turn(box: Box, height: int, width: int, clockwise: int) -> Box:
    """Where ``box`` of a height x width frame lies after the frame is rotated by 0, 90, 180 or 270 degrees."""
    for _ in range(clockwise // 90):
        box = Box(box.left, height - box.top - box.height, box.width, box.height)
        height, width = width, height
    return box


def _shrunk(area: Box, decoded: tuple[int, int], working: tuple[int, int]) -> Box:
    # Rounded inwards, so that no scaled pixel inside the box is mixed with a black bar.
    top, bottom = (-(-area.top * working[0] // decoded[0]), (area.top + area.height) * working[0] // decoded[0])
    left, right = (-(-area.left * working[1] // decoded[1]), (area.left + area.width) * working[1] // decoded[1])
    return Box(top, left, bottom - top, right - left)


def random_box(rng: np.random.Generator, area: Box, height: int, width: int) -> Box:
    """A height x width box inside ``area``, all positions equally likely. It must fit."""
    top = area.top + int(rng.integers(area.height - height + 1))
    left = area.left + int(rng.integers(area.width - width + 1))
    return Box(top, left, height, width)
