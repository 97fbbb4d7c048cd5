"""HTML for notebooks: facts, tables, and the frames of samples. Plain HTML that needs no other file."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from html import escape
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..color.tone_map import ToneMap

CELL = 128
"""Largest width and height of a frame in pixels."""
GAP = 4
MOST_SAMPLES = 8
"""Samples of a batch that are shown."""
LEFT = 'style="text-align: left; vertical-align: top; padding-right: 16px"'


def section(title: str, *parts: str) -> str:
    """A title above parts that are HTML already."""
    return f"<div><b>{escape(title)}</b>{''.join(parts)}</div>"


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table of texts; without a head if there are no columns, and empty without rows."""
    head = "".join(f"<th {LEFT}>{escape(name)}</th>" for name in columns)
    body = ["".join(f"<td {LEFT}>{escape(str(cell))}</td>" for cell in row) for row in rows]
    lines = [head] * bool(head) + body
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>" if body else ""


def few(names: Iterable[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def one_line(sample: Mapping[str, Any]) -> str:
    """A sample, or a collated batch, in one line: key, category, format, and the shapes of images."""
    keys = sample.get("key", "without a key")
    head = f"Sample {keys}" if isinstance(keys, str) else f"Batch of {len(keys)}"
    labels = [few(_distinct(sample[name])) for name in ("category", "format") if name in sample]
    images = [
        f"{name} {_shape(value)}" for name, value in sample.items() if isinstance(value, Tensor) and _is_image(value)
    ]
    return f"{head}: {', '.join([*labels, *images])}"


def patches(sample: Mapping[str, Any]) -> str:
    """A sample, or the first samples of a collated batch: ``gt`` and the ``lq`` frames in a row, with their origin.

    HDR signal is shown through a tone curve, and other types from 0 to 1 or to the highest code.
    """
    keys = sample.get("key")
    if not isinstance(keys, (list, tuple)):
        fields = ((name, value) for name, value in sample.items() if not isinstance(value, Tensor))
        return section(
            one_line(sample), _strip(sample), f"<details><summary>fields</summary>{table((), fields)}</details>"
        )
    strips = [_strip(_nth(sample, index), "key", "category", "format") for index in range(len(keys))[:MOST_SAMPLES]]
    more = len(keys) - len(strips)
    return section(one_line(sample), *strips, f"<div>and {more} more</div>" if more else "")


def _strip(sample: Mapping[str, Any], *labels: str) -> str:
    caption = [str(sample[name]) for name in labels if name in sample]
    if {"movie", "seconds"} <= sample.keys():
        caption.append(f"{sample['movie']} at {sample['seconds']:.3f} s")
    gt, lq = ([*_frames(name, sample)] if name in sample else [] for name in ("gt", "lq"))
    return f"<div>{escape(' · '.join([*caption, 'gt and lq frames']))}<br>{_image(gt, lq)}</div>"


def _frames(name: str, sample: Mapping[str, Any]) -> Iterator[Image.Image]:
    """All ``lq`` frames, or the centre frame of ``gt``; none of a tensor that holds no RGB frames."""
    frames: Tensor = sample[name]
    if not isinstance(frames, Tensor) or not _is_image(frames) or frames.ndim > 4:
        return
    frames = frames.detach().cpu().view(-1, *frames.shape[-3:])
    if name == "gt":
        frames = frames[len(frames) // 2][None]
    for codes in _as_uint8(frames, sample).permute(0, 2, 3, 1).contiguous().numpy():
        yield ImageOps.contain(Image.fromarray(codes), (CELL, CELL), Image.Resampling.LANCZOS)


def _as_uint8(frames: Tensor, sample: Mapping[str, Any]) -> Tensor:
    if frames.dtype == torch.uint8:
        return frames
    if frames.dtype == torch.uint16 and {"source", "tonemap"} <= sample.keys():
        sdr: Tensor = _tone_map(sample["source"]["transfer"], sample["tonemap"]["peak"])(frames)
        return sdr
    if not frames.is_floating_point():
        frames = frames.to(torch.float32) / torch.iinfo(frames.dtype).max
    return (frames.to(torch.float32).clamp(0, 1) * 255 + 0.5).to(torch.uint8)


@lru_cache(maxsize=8)
def _tone_map(transfer: Any, peak: float) -> ToneMap:
    return ToneMap(transfer, peak=peak, dtype=torch.uint8)


def _image(*groups: list[Image.Image]) -> str:
    """Groups of frames side by side in one picture."""
    places, left = [], 0
    for frames in groups:
        for frame in frames:
            places.append((frame, left))
            left += frame.width + GAP
        left += 3 * GAP
    if not places:
        return ""
    picture = Image.new("RGBA", (left, max(frame.height for frame, _ in places)))
    for frame, left in places:
        picture.paste(frame, (left, 0))
    file = io.BytesIO()
    picture.save(file, "webp", quality=90)  # a fifth of the bytes of PNG, which matters in a notebook that is kept
    uri = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
    return f'<img src="{uri}" alt="gt and lq frames" style="max-width: 100%">'


def _nth(batch: Any, index: int) -> Any:
    """The sample at an index of a collated batch; of its fields only those that a strip needs."""
    if isinstance(batch, Mapping):
        needed = ("key", "category", "format", "movie", "seconds", "gt", "lq", "source", "tonemap", "transfer", "peak")
        return {name: _nth(batch[name], index) for name in needed if name in batch}
    value = batch[index]
    return value.item() if isinstance(value, Tensor) and value.ndim == 0 else value


def _is_image(value: Tensor) -> bool:
    return value.ndim >= 3 and value.shape[-3] == 3


def _shape(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"


def _distinct(label: Any) -> list[str]:
    return [label] if isinstance(label, str) else list(dict.fromkeys(map(str, label)))
