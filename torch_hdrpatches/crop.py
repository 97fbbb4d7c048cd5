"""Where in a picture to look: the area inside its black bars, and random boxes in it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .frames import Box, Plane

DARK_MARGIN = 0.02
"""Luma codes up to this share of the code range above black count as black: noise and ringing stay below it."""
DARK_SHARE = 0.98
"""A row or column is a bar where at least this share of its pixels is black: a stray bright pixel changes nothing."""
SURE = 4
"""With fewer pictures than this only what is black on opposite sides alike is a bar: they may be of one dark scene."""
EDGE = 2
"""Rows or columns left out beside a bar: compression and scaling smear the bar's edge into the picture."""
MIN_SHARE = 0.2
"""An active area smaller than this share of the height or width is taken for a dark scene, not for bars."""


def active_area(lumas: Iterable[Plane], black: int, bits: int) -> Box:
    """The smallest box that holds what is not a black bar in any of ``lumas``; the whole picture if all is black.

    Args:
        lumas: Y planes (height, width) of pictures spread over a movie, all of one size.
        black: luma code of black.
        bits: bits per code.
    """
    rows: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
    columns: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
    count = 0
    for count, luma in enumerate(lumas, start=1):  # noqa: B007 - how many there were
        bright = luma > black + DARK_MARGIN * 2**bits
        lit_rows, lit_columns = bright.mean(axis=1) > 1 - DARK_SHARE, bright.mean(axis=0) > 1 - DARK_SHARE
        rows = lit_rows if rows is None else rows | lit_rows
        columns = lit_columns if columns is None else columns | lit_columns
    if rows is None or columns is None:
        raise ValueError("no pictures to look at")
    whole = Box(0, 0, len(rows), len(columns))
    if not rows.any() or not columns.any():
        return whole
    top, bottom = np.flatnonzero(rows)[[0, -1]]
    left, right = np.flatnonzero(columns)[[0, -1]]
    if count < SURE:
        top = min(top, whole.height - 1 - bottom)
        left = min(left, whole.width - 1 - right)
        bottom, right = whole.height - 1 - top, whole.width - 1 - left
    top, left = (int(start) + EDGE * bool(start) for start in (top, left))
    bottom, right = (
        int(stop) + 1 - EDGE * bool(stop + 1 < length)
        for stop, length in ((bottom, whole.height), (right, whole.width))
    )
    area = Box(top, left, bottom - top, right - left)
    if area.height < MIN_SHARE * whole.height or area.width < MIN_SHARE * whole.width:
        return whole
    return area


def random_box(rng: np.random.Generator, area: Box, height: int, width: int) -> Box:
    """A height x width box anywhere inside ``area``, every place equally likely; it must fit."""
    top = area.top + int(rng.integers(area.height - height + 1))
    left = area.left + int(rng.integers(area.width - width + 1))
    return Box(top, left, height, width)
