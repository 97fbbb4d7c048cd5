"""The compiled loop from Y'CbCr planes to RGB codes, row by row.

A row passes through short stages of one loop each, so that LLVM vectorises most of them. There is no ``fastmath``, and
nothing is summed across pixels: every CPU gives the same bytes, and a pixel does not depend on the box around it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy import float32 as f32
from numpy import int32, uint32

from ..frames import Plane
from ..jit import compiled
from .tables import Floats, Layout, Matrix, RootTable, Tables

Indices: TypeAlias = np.ndarray[Any, np.dtype[np.uint32]]


@compiled
def convert(y: Plane, cb: Plane, cr: Plane, layout: Layout, matrix: Matrix, tables: Tables | None, out: Plane) -> None:
    """Fill ``out`` (height, width, 3): uint8, tone-mapped RGB; without tables, uint8 or uint16, R'G'B' half up."""
    height, width, _ = out.shape
    index, chroma = np.empty((3, width), uint32), np.empty((4, width + 4), f32)
    light, factor, scratch = np.empty((3, width), f32), np.empty(width, f32), np.empty((2, width), f32)
    left, right = layout.left, layout.left + width
    for i in range(height):
        row = layout.top + i
        if matrix.planes_are_rgb:
            _scale(cr[row, left:right], matrix, index[0])
            _scale(y[row, left:right], matrix, index[1])
            _scale(cb[row, left:right], matrix, index[2])
        else:
            _chroma_row(cb, cr, row, right, layout, matrix.chroma_zero, chroma)
            first = left % layout.sub_x
            _to_rgb(y[row, left:right], chroma[0, first:], chroma[1, first:], matrix, index[0], index[1], index[2])
        if tables is None:  # numba compiles a function of its own without what follows
            _interleave(index[0], index[1], index[2], out[i])
            continue
        for channel in range(3):
            _look_up(tables.light, index[channel], light[channel])
        if tables.ootf.entries.size > 0:
            _scene_luminance_index(light, tables.scene_weights, tables.ootf, index[0])
            _look_up(tables.ootf.entries, index[0], factor)
            for channel in range(3):
                _multiply(light[channel], factor)
        _to_bt709(light, tables.gamut)
        if tables.desat > 0:
            _desaturate(light, tables.luma_weights, tables.desat)
        _curve_position(light, tables.curve, factor, index[0])
        _look_up_between(tables.curve.entries, index[0], scratch[0], scratch[1], factor)
        for channel in range(3):
            _code_index(light[channel], factor, tables.sdr_codes, index[channel])
        _look_up_rgb(tables.sdr_codes.entries, index[0], index[1], index[2], out[i])


@compiled
def _chroma_row(cb: Plane, cr: Plane, row: int, right: int, layout: Layout, zero: f32, chroma: Floats) -> None:
    """Fill ``chroma[0]`` and ``chroma[1]`` with Cb and Cr minus ``zero`` at the luma columns up to ``right``.

    They begin at the box's left column, rounded down to a multiple of ``sub_x``. Interpolation is bilinear, first
    between rows and then between columns; the frame's edge samples are repeated.
    """
    at = (row - layout.y0) / layout.sub_y
    above = int(np.floor(at))
    share = f32(at - above)
    last, left = layout.rows - 1, layout.left
    upper, lower = min(max(above, 0), last), min(max(above + 1, 0), last)
    if layout.sub_x == 1:
        _mix(cb[upper, left:right], cb[lower, left:right], share, zero, chroma[0])
        _mix(cr[upper, left:right], cr[lower, left:right], share, zero, chroma[1])
        return
    # These columns depend on the samples start..stop, of which the frame has inside..end.
    start, stop = left // 2 - 1, (right + 1) // 2 + 1
    inside, end = max(start, 0), min(stop, layout.columns)
    u, v = chroma[2, inside - start :], chroma[3, inside - start :]
    _mix(cb[upper, inside:end], cb[lower, inside:end], share, zero, u)
    _mix(cr[upper, inside:end], cr[lower, inside:end], share, zero, v)
    shift = f32(layout.x0 / 2)
    for plane in range(2):
        samples = chroma[2 + plane]
        samples[: inside - start] = samples[inside - start]
        samples[end - start : stop - start] = samples[end - start - 1]
        _spread(samples, shift, stop - start - 2, chroma[plane])


@compiled
def _mix(upper: Plane, lower: Plane, share: f32, zero: f32, out: Floats) -> None:
    rest = f32(1) - share
    for k in range(upper.size):
        out[k] = (rest * f32(upper[k]) + share * f32(lower[k])) - zero


@compiled
def _spread(samples: Floats, shift: f32, pairs: int, out: Floats) -> None:
    """Luma columns 2k and 2k + 1 from samples k to k + 2; sample k + 1 is ``shift`` samples right of column 2k."""
    before, even, odd, after = shift, f32(1) - shift, f32(0.5) + shift, f32(0.5) - shift
    for k in range(pairs):
        out[2 * k] = before * samples[k] + even * samples[k + 1]
        out[2 * k + 1] = odd * samples[k + 1] + after * samples[k + 2]


@compiled
def _scale(codes: Plane, matrix: Matrix, index: Indices) -> None:
    zero, scale, black, top, half = matrix.luma_zero, matrix.luma_scale, f32(0), matrix.top, f32(0.5)
    for x in range(index.size):
        index[x] = uint32(int32(min(max((f32(codes[x]) - zero) * scale + half, black), top)))


@compiled
def _to_rgb(luma: Plane, u: Floats, v: Floats, matrix: Matrix, red: Indices, green: Indices, blue: Indices) -> None:
    zero, scale, black, top, half = matrix.luma_zero, matrix.luma_scale, f32(0), matrix.top, f32(0.5)
    red_cr, green_cb, green_cr, blue_cb = matrix.red_cr, matrix.green_cb, matrix.green_cr, matrix.blue_cb
    for x in range(red.size):
        grey = (f32(luma[x]) - zero) * scale + half
        red[x] = uint32(int32(min(max(grey + red_cr * v[x], black), top)))
        green[x] = uint32(int32(min(max(grey + (green_cb * u[x] + green_cr * v[x]), black), top)))
        blue[x] = uint32(int32(min(max(grey + blue_cb * u[x], black), top)))


@compiled
def _interleave(red: Indices, green: Indices, blue: Indices, out: Plane) -> None:
    for x in range(red.size):
        out[x, 0] = red[x]
        out[x, 1] = green[x]
        out[x, 2] = blue[x]


@compiled
def _look_up(entries: Plane, index: Indices, out: Floats) -> None:
    for x in range(index.size):
        out[x] = entries[index[x]]


@compiled
def _look_up_between(entries: Floats, index: Indices, lower: Floats, upper: Floats, position: Floats) -> None:
    """Replace each position by the linear interpolation of two entries; ``lower`` and ``upper`` are scratch memory."""
    for x in range(index.size):
        lower[x] = entries[index[x]]
    for x in range(index.size):
        upper[x] = entries[index[x] + uint32(1)]
    for x in range(index.size):
        position[x] = lower[x] + (position[x] - f32(index[x])) * (upper[x] - lower[x])


@compiled
def _look_up_rgb(entries: Plane, red: Indices, green: Indices, blue: Indices, out: Plane) -> None:
    for x in range(red.size):
        out[x, 0] = entries[red[x]]
        out[x, 1] = entries[green[x]]
        out[x, 2] = entries[blue[x]]


@compiled
def _scene_luminance_index(light: Floats, weights: Floats, table: RootTable, index: Indices) -> None:
    red, green, blue = light[0], light[1], light[2]
    red_weight, green_weight, blue_weight = weights[0], weights[1], weights[2]
    scale, half, last = table.scale, f32(0.5), f32(table.entries.size - 1)
    for x in range(index.size):
        luminance = red_weight * red[x] + green_weight * green[x] + blue_weight * blue[x]
        index[x] = uint32(int32(min(np.sqrt(luminance) * scale + half, last)))


@compiled
def _multiply(light: Floats, factor: Floats) -> None:
    for x in range(light.size):
        light[x] *= factor[x]


@compiled
def _to_bt709(light: Floats, gamut: Floats) -> None:
    """Change of primaries, in place; written as differences, so that grey stays exactly grey."""
    red, green, blue = light[0], light[1], light[2]
    red_green, red_blue = gamut[0, 1], gamut[0, 2]
    green_red, green_blue = gamut[1, 0], gamut[1, 2]
    blue_red, blue_green = gamut[2, 0], gamut[2, 1]
    for x in range(red.size):
        r, g, b = red[x], green[x], blue[x]
        red[x] = r + (red_green * (g - r) + red_blue * (b - r))
        green[x] = g + (green_red * (r - g) + green_blue * (b - g))
        blue[x] = b + (blue_red * (r - b) + blue_green * (g - b))


@compiled
def _desaturate(light: Floats, weights: Floats, desat: f32) -> None:
    """FFmpeg's ``tonemap=desat``, in place."""
    red, green, blue = light[0], light[1], light[2]
    red_weight, green_weight, blue_weight = weights[0], weights[1], weights[2]
    tiny = f32(1e-6)
    for x in range(red.size):
        r, g, b = red[x], green[x], blue[x]
        luma = red_weight * r + green_weight * g + blue_weight * b
        fade = max(luma - desat, tiny) / max(luma, tiny)
        red[x] = r + (luma - r) * fade
        green[x] = g + (luma - g) * fade
        blue[x] = b + (luma - b) * fade


@compiled
def _curve_position(light: Floats, table: RootTable, position: Floats, index: Indices) -> None:
    """The position of the brightest channel in the table, and the index of the entry before it."""
    red, green, blue = light[0], light[1], light[2]
    scale, tiny, last = table.scale, f32(1e-6), f32(table.entries.size - 1)
    last_pair = int32(table.entries.size - 2)
    for x in range(index.size):
        position[x] = min(np.sqrt(max(max(red[x], green[x]), max(blue[x], tiny))) * scale, last)
        index[x] = uint32(min(int32(position[x]), last_pair))


@compiled
def _code_index(light: Floats, factor: Floats, table: RootTable, index: Indices) -> None:
    scale, half, black, white = table.scale, f32(0.5), f32(0), f32(1)
    for x in range(index.size):
        index[x] = uint32(int32(np.sqrt(min(max(light[x] * factor[x], black), white)) * scale + half))
