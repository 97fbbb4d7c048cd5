"""What a person looks at before trusting the data: the contact sheet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..errors import MovieError, NoSamplesError, WindowError
from ..sampling.sample import Sample
from ..sampling.stream import PatchStream
from ..shards.browse import exported_samples, is_export, spread
from ..shards.manifest import recipe_of

HEIGHT = 198
"""Rows of pixels of a source frame on the sheet; ``lq`` frames stand in two lines of half of it."""
CELL = round(HEIGHT * 16 / 9)
"""Columns of pixels for a source frame and for ``gt``."""
GAP = 8
SMALL = (HEIGHT - GAP) // 2
MIN_WIDTH = 1000
"""Columns of pixels that the captions need."""
HEAD = 34
CAPTION = 30
BACKGROUND = (24, 24, 27)
INK = (235, 235, 240)
FAINT = (160, 160, 170)
BOX = (255, 204, 0)


def contact_sheet(source: str | Path, path: str | Path, *, rows: int = 8) -> Path:
    """A PNG with one sample per row: the source frame with its crop box, ``gt``, and the ``lq`` frames.

    Args:
        source: a recipe, or an exported folder or its URL.
        path: the PNG to write.
        rows: samples shown, spread over what there is.

    Raises:
        NoSamplesError: if there is no sample to show.
    """
    if is_export(source):
        stream = PatchStream(recipe_of(source))
        samples = exported_samples(source, rows)
    else:
        stream = PatchStream(source)
        samples = live_samples(stream, rows)
    if not samples:
        raise NoSamplesError(f"{source}: there is no sample to show; `hdrpatches plan` or `probe` say why")
    _sheet(stream, samples).save(path)
    return Path(path)


def live_samples(stream: PatchStream, count: int) -> list[Sample]:
    """About ``count`` samples of a stream, from runs spread over its movies."""
    samples: list[Sample] = []
    for index in stream.plan.order(0):
        outcomes = stream.run(0, stream.plan.runs[index])
        samples += spread([sample for outcome in outcomes for sample in outcome.samples], max(1, count // 4))
        if len(samples) >= count:
            break
    return samples[:count]


def source_frame(stream: PatchStream, sample: Sample) -> Image.Image:
    """The whole frame that a sample was cut from, with its box; grey where the movie is not at hand."""
    width, height = stream.recipe.sampling.frame_size if stream.recipe.sampling.frame_size != "native" else (1920, 1080)
    try:
        frame = Image.fromarray(stream.picture(sample["movie"], sample["seconds"]))
    except (MovieError, WindowError):
        frame = Image.new("RGB", (width, height), (70, 70, 74))
    top, left, height, width = sample["crop"]
    line = max(2, frame.height // 120)
    ImageDraw.Draw(frame).rectangle((left, top, left + width - 1, top + height - 1), outline=BOX, width=line)
    return frame


def as_image(picture: Tensor) -> Image.Image:
    """The picture of a ``gt`` or one ``lq`` frame; the centre frame of a sequence."""
    pixels = picture if picture.ndim == 3 else picture[len(picture) // 2]
    codes = pixels.permute(1, 2, 0).numpy()
    # 16-bit signal is shown as it is coded: flat and pale, but nothing is hidden.
    return Image.fromarray(codes if codes.dtype == np.uint8 else (codes >> 8).astype(np.uint8))


def _row(stream: PatchStream, sample: Sample, gt: int, lq: int) -> Image.Image:
    """One sample, in columns of pixels of ``CELL``, ``gt``, and ``lq`` for each frame."""
    columns = -(-len(sample["lq"]) // 2)
    row = Image.new("RGB", (_width(gt, lq, columns), HEIGHT + CAPTION + GAP), BACKGROUND)
    draw = ImageDraw.Draw(row)
    draw.text((GAP, 5), sample["key"], fill=INK, font=ImageFont.load_default(16))
    indent = GAP + CELL + GAP
    draw.text((indent, 7), "   ".join(_facts(sample)), fill=FAINT, font=ImageFont.load_default(14))
    row.paste(_fitted(source_frame(stream, sample), CELL, HEIGHT), (GAP, CAPTION))
    row.paste(_fitted(as_image(sample["gt"]), CELL, HEIGHT), (indent, CAPTION))
    for index, frame in enumerate(sample["lq"]):
        picture = _fitted(as_image(frame), CELL, SMALL)
        line, column = divmod(index, columns)
        row.paste(picture, (indent + gt + GAP + column * (picture.width + GAP), CAPTION + line * (SMALL + GAP)))
    return row


def _facts(sample: Sample) -> Iterator[str]:
    # Plain ASCII: Pillow's own font has little more.
    top, left, height, width = sample["crop"]
    yield f"{sample['format']} {width}x{height} at {left}, {top}"
    yield f"{sample['seconds']:.3f} s"
    yield f"scene change {sample['scene_change']:.1f}"
    yield f"sharpness {sample['measures']['sharpness']:.0f}"
    if sample["tonemap"]["curve"] != "none":
        yield f"{sample['tonemap']['curve']}, peak {sample['tonemap']['peak']:g} cd/m2"


def _width(gt: int, lq: int, columns: int) -> int:
    return max(MIN_WIDTH, GAP + CELL + GAP + gt + GAP + columns * (lq + GAP))


def _fitted(picture: Image.Image, width: int, height: int) -> Image.Image:
    scale = min(width / picture.width, height / picture.height)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)


def _sheet(stream: PatchStream, samples: list[Sample]) -> Image.Image:
    frames = len(samples[0]["lq"])
    gt = max(_fitted(as_image(sample["gt"]), CELL, HEIGHT).width for sample in samples)
    lq = max(_fitted(as_image(sample["lq"][0]), CELL, SMALL).width for sample in samples)
    rows = [_row(stream, sample, gt, lq) for sample in samples]
    sheet = Image.new("RGB", (rows[0].width, HEAD + sum(row.height for row in rows)), BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    places = (GAP, GAP + CELL + GAP, GAP + CELL + GAP + gt + GAP)
    for x, title in zip(places, ("source frame and crop", "gt", f"lq, {frames} frames in order"), strict=True):
        draw.text((x, 9), title, fill=FAINT, font=font)
    y = HEAD
    for row in rows:
        sheet.paste(row, (0, y))
        y += row.height
    return sheet
