"""What a person looks at before trusting the data: the contact sheet."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from .manifest import recipe_of
from .sample import Sample
from .shards import read_shards
from .stream import PatchStream

ROW = 230
"""Height of a row in pixels."""
GAP = 10
BACKGROUND = (28, 28, 30)
INK = (225, 225, 225)


def contact_sheet(source: str | Path, path: str | Path, *, rows: int = 8) -> Path:
    """A PNG with one sample per row: the centre frame with its crop box, ``gt``, and the ``lq`` frames.

    Args:
        source: a recipe, or an exported folder.
        path: the PNG to write.
        rows: samples shown, spread over what there is.
    """
    folder = Path(source)
    if folder.is_dir():
        stream = PatchStream(recipe_of(folder))
        samples = _spread(list(read_shards(folder)), rows)
    else:
        stream = PatchStream(source)
        samples = _spread(list(islice(_first_samples(stream), 4 * rows)), rows)
    sheet = _stacked([_row(stream, sample) for sample in samples])
    sheet.save(path)
    return Path(path)


def _first_samples(stream: PatchStream) -> Iterable[Sample]:
    for index in stream.plan.order(0):
        for outcome in stream.run(0, stream.plan.runs[index]):
            yield from outcome.samples


def _spread(samples: list[Sample], rows: int) -> list[Sample]:
    return samples[:: max(1, len(samples) // rows)][:rows]


def _row(stream: PatchStream, sample: Sample) -> Image.Image:
    frame = Image.fromarray(stream.picture(sample["movie"], sample["seconds"]))
    top, left, height, width = sample["crop"]
    line = max(2, frame.height // 200)
    ImageDraw.Draw(frame).rectangle((left, top, left + width, top + height), outline=(255, 200, 0), width=line)
    pictures = [frame, _image(sample["gt"]), *(_image(lq) for lq in sample["lq"])]
    scaled = [picture.resize((max(1, round(picture.width * ROW / picture.height)), ROW)) for picture in pictures]
    row = Image.new("RGB", (sum(picture.width + GAP for picture in scaled) + GAP, ROW + 30), BACKGROUND)
    x = GAP
    for picture in scaled:
        row.paste(picture, (x, 24))
        x += picture.width + GAP
    caption = (
        f"{sample['key']}    {sample['format']}    {sample['seconds']:.3f} s    crop {top},{left} {height}x{width}    "
        f"change {sample['scene_change']:.1f}    {sample['tonemap']['curve']} peak {sample['tonemap']['peak']:g} cd/m2"
    )
    ImageDraw.Draw(row).text((GAP, 6), caption, fill=INK)
    return row


def _image(picture: Tensor) -> Image.Image:
    pixels = picture if picture.ndim == 3 else picture[len(picture) // 2]
    codes = pixels.permute(1, 2, 0).numpy()
    # 16-bit signal is shown as it is coded: flat and pale, but nothing is hidden.
    return Image.fromarray(codes if codes.dtype == np.uint8 else (codes >> 8).astype(np.uint8))


def _stacked(rows: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), BACKGROUND)
    y = 0
    for row in rows:
        sheet.paste(row, (0, y))
        y += row.height
    return sheet
