"""Frames as grids of cells, and the difference between two frames that block motion does not explain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from ..frames import Box, Plane, Planes, readonly
from ..jit import compiled

Grid: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
Cells: TypeAlias = np.ndarray[Any, np.dtype[np.int32]]
"""int32 (frames, rows, columns): mean luma of cells, in sixteenths of an SDR code, 0 to 4080."""
Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Place: TypeAlias = tuple[int, int]
"""Row, column of a block's first cell."""
Sums: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

CELLS = 3600
"""About this many cells per frame: 45 x 80 of 24 x 24 pixels for 1080p."""
BLOCK = 8
"""Rows and columns of cells that are matched together."""
CONTRAST_FLOOR = 2
"""Codes that are added to a block's contrast, so that noise in a plain sky does not count as change."""
REACH = 4
"""How far blocks are searched for, in pairs of cells: a tenth of the width of a 16:9 frame."""
PARTS = 4
"""Search precision: a quarter of a cell. If it were coarser, slow pans would look like changes of brightness."""


@dataclass(frozen=True, slots=True)
class Residual:
    """Differences between blocks and their best matches: float64 (steps, blocks), in SDR codes."""

    limited: Floats
    """Mean absolute difference, each cell limited to ``contrast + CONTRAST_FLOOR``."""
    pattern: Floats
    """Mean absolute difference after both blocks are brought to the same mean: not explained by brightness either."""
    shift: Floats
    """Difference of the means; positive where the frame became brighter."""
    contrast: Floats
    """Mean absolute deviation of a block from its own mean, in whichever of the two frames it is smaller."""


def cells_of(frames: Sequence[Planes], grey: Grid, area: Box) -> Cells:
    """The cells of frames: squares that tile ``area`` except for a margin; at least as many as a block has."""
    size = max(1, math.isqrt(area.height * area.width // CELLS))
    cells = np.empty((len(frames), area.height // size, area.width // size), np.int32)
    for frame, target in zip(frames, cells, strict=True):
        _average(readonly(frame.y), readonly(grey), area.top, area.left, size, target)
    rows, columns = (max(0, BLOCK - length) for length in cells.shape[1:])
    return np.pad(cells, ((0, 0), (0, rows), (0, columns)), mode="edge") if rows or columns else cells


def residual(before: Cells, after: Cells) -> Residual:
    """Match the blocks of each frame of ``after`` in the frame of ``before`` at the same index."""
    rows, columns = after.shape[1:]
    found = np.empty((4, len(after), (rows // BLOCK) * (columns // BLOCK)), np.int64)
    _match(_doubled(_doubled(before)), after, _paired(before), _paired(after), _NEAR, found)
    # Sixteenths of a code, summed over n cells, times n where a mean was subtracted: powers of two, so exact.
    n = BLOCK * BLOCK
    return Residual(found[0] / (16 * n), found[1] / (16 * n * n), found[2] / (16 * n), found[3] / (16 * n * n))


def _paired(cells: Cells) -> Cells:
    """Sums of two by two cells."""
    rows, columns = cells.shape[1] // 2 * 2, cells.shape[2] // 2 * 2
    pairs = cells[:, 0:rows:2, :columns] + cells[:, 1:rows:2, :columns]
    return np.ascontiguousarray(pairs[:, :, 0::2] + pairs[:, :, 1::2])


def _doubled(cells: Cells) -> Cells:
    """The grid with twice the resolution, interpolated: motion is seldom a whole number of cells."""
    steps, rows, columns = cells.shape
    fine = np.empty((steps, 2 * rows - 1, 2 * columns - 1), np.int32)
    fine[:, ::2, ::2] = cells
    fine[:, 1::2, ::2] = (cells[:, :-1] + cells[:, 1:] + 1) >> 1
    fine[:, :, 1::2] = (fine[:, :, :-1:2] + fine[:, :, 2::2] + 1) >> 1
    return fine


_OFFSETS = product(range(-REACH, REACH + 1), repeat=2)
_NEAR = np.array(sorted(_OFFSETS, key=lambda offset: max(map(abs, offset))), np.int32)
"""(offsets, 2): rows and columns, in pairs of cells, nearest first."""


# Integers only: the same on every machine, in whatever order the compiler vectorises the sums.
@compiled
def _average(luma: Plane, grey: Plane, top: int, left: int, size: int, out: Cells) -> None:
    """Mean luma code of four rows of each cell, to a sixteenth, and the SDR code for it, interpolated.

    Four rows suffice, and reading all of them takes most of the time with 4K frames.
    """
    count = np.uint32(4 * size)
    for row in range(out.shape[0]):
        y = top + row * size
        a, b, c, d = y + size // 8, y + 3 * size // 8, y + 5 * size // 8, y + 7 * size // 8
        for column in range(out.shape[1]):
            start = left + column * size
            total = np.uint32(0)
            for x in range(start, start + size):
                total += np.uint32(luma[a, x]) + np.uint32(luma[b, x]) + np.uint32(luma[c, x]) + np.uint32(luma[d, x])
            mean = (np.uint32(16) * total + count // np.uint32(2)) // count
            code, part = mean >> np.uint32(4), np.int32(mean & np.uint32(15))
            above = grey[code + 1] if code + 1 < grey.size else grey[code]
            out[row, column] = grey[code] * (16 - part) + above * part


@compiled
def _match(fine: Cells, after: Cells, paired_before: Cells, paired_after: Cells, near: Cells, found: Sums) -> None:
    """Search for each block in steps of two cells, then one cell, then parts of a cell.

    ``fine`` holds the frames before at ``PARTS`` times the resolution.
    """
    steps, height, width = after.shape
    rows, columns = height // BLOCK, width // BLOCK
    top, left = height % BLOCK // 4 * 2, width % BLOCK // 4 * 2  # even: a block begins with a pair
    half = BLOCK // 2
    for step in range(steps):
        for block in range(rows * columns):
            y, x = top + block // columns * BLOCK, left + block % columns * BLOCK
            best, v, u = np.int32(2**31 - 1), 0, 0
            for k in range(near.shape[0]):
                dy, dx = y // 2 + near[k, 0], x // 2 + near[k, 1]
                if dy >= 0 and dx >= 0 and dy + half <= height // 2 and dx + half <= width // 2:
                    cost = _compare(paired_before[step], paired_after[step], (dy, dx), (y // 2, x // 2), half, 1)[0]
                    if cost < best:
                        best, v, u = cost, 2 * PARTS * dy, 2 * PARTS * dx
            own = PARTS * y, PARTS * x
            best, pattern, shift = _compare(fine[step], after[step], own, (y, x), BLOCK, PARTS)
            best_at = own
            for reach in (PARTS, PARTS // 2, 1):
                centre = (v, u) if reach == PARTS else best_at
                for k in range(9):
                    dy, dx = centre[0] + reach * near[k, 0], centre[1] + reach * near[k, 1]
                    if dy >= 0 and dx >= 0 and dy <= PARTS * (height - BLOCK) and dx <= PARTS * (width - BLOCK):
                        cost, p, t = _compare(fine[step], after[step], (dy, dx), (y, x), BLOCK, PARTS)
                        if cost < best:
                            best, pattern, shift, best_at = cost, p, t, (dy, dx)
            contrast = min(_contrast(fine[step], own, PARTS), _contrast(after[step], (y, x), 1))
            most = contrast // BLOCK**4 + 16 * CONTRAST_FLOOR
            found[0, step, block] = _limited(fine[step], after[step], best_at, (y, x), most)
            found[1, step, block], found[2, step, block], found[3, step, block] = pattern, shift, contrast


@compiled
def _compare(before: Cells, after: Cells, there: Place, here: Place, size: int, apart: int) -> tuple[Any, Any, Any]:
    """Compare the block of ``after`` at ``here`` with ``before`` at ``there``: cost, sum of |d - mean d|, sum of d.

    The brightness counts a quarter of the pattern, so that a fade does not look like motion along a gradient.
    """
    (v, u), (y, x) = there, here
    n = np.int32(size * size)
    total, pattern = np.int32(0), np.int32(0)
    for row in range(size):
        for column in range(size):
            total += after[y + row, x + column] - before[v + apart * row, u + apart * column]
    for row in range(size):
        for column in range(size):
            pattern += abs(n * (after[y + row, x + column] - before[v + apart * row, u + apart * column]) - total)
    return pattern + n * abs(total) // 4, pattern, total


@compiled
def _limited(before: Cells, after: Cells, there: Place, here: Place, most: int) -> Any:
    """Sum of |d|, at most ``most`` per cell, so that a small object counts little however bright it is."""
    (v, u), (y, x) = there, here
    limited = np.int32(0)
    for row in range(BLOCK):
        for column in range(BLOCK):
            limited += min(abs(after[y + row, x + column] - before[v + PARTS * row, u + PARTS * column]), most)
    return limited


@compiled
def _contrast(cells: Cells, here: Place, apart: int) -> Any:
    y, x = here
    total, spread = np.int32(0), np.int32(0)
    for row in range(BLOCK):
        for column in range(BLOCK):
            total += cells[y + apart * row, x + apart * column]
    for row in range(BLOCK):
        for column in range(BLOCK):
            spread += abs(BLOCK * BLOCK * cells[y + apart * row, x + apart * column] - total)
    return spread
