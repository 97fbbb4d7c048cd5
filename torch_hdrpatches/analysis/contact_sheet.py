"""A contact sheet: one PNG that shows a sample per row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps
from torch import Tensor

from ..frames import Plane
from ..sampling.sample import Sample
from ..storage.paths import plain_path
from .report_data import select, source_frames
from .shown_path import ImagePath

HEIGHT = 198
"""Height of a source frame in pixels; ``lq`` frames stand in two lines of half of it."""
CELL = round(HEIGHT * 16 / 9)
"""Width in pixels for a source frame, and for ``gt`` at most."""
GAP = 8
SMALL = (HEIGHT - GAP) // 2
HEAD = 34
CAPTION = 30
BACKGROUND = (24, 24, 27)
INK = (235, 235, 240)
FAINT = (160, 160, 170)
EMPTY = (70, 70, 74)
BOX = (255, 204, 0)


def contact_sheet(source: str | Path, path: str | Path, *, rows: int = 8) -> ImagePath:
    """Write a PNG with one sample per row: the source frame with the crop box, ``gt``, and the ``lq`` frames.

    Args:
        source: a recipe file, or an exported folder or its URL.
        path: the PNG to write.
        rows: number of samples, spread over the recipe or export.

    Returns:
        The path; in a notebook it shows the sheet.

    Raises:
        NoSamplesError: if there are no samples to show.
    """
    selection = select(source, rows)
    target = Path(plain_path(path))
    _sheet(selection.samples, source_frames(selection)).save(target)
    return ImagePath(target)


def as_image(frames: Tensor) -> Image.Image:
    """One frame (3, H, W), or the centre frame of a sequence (T, 3, H, W)."""
    pixels = frames if frames.ndim == 3 else frames[len(frames) // 2]
    codes = pixels.permute(1, 2, 0).numpy()
    # 16-bit signal is shown without a tone curve: pale, but nothing is hidden.
    return Image.fromarray(codes if codes.dtype == np.uint8 else (codes >> 8).astype(np.uint8))


def boxed(frame: Plane, crop: tuple[int, int, int, int], size: tuple[int, int]) -> Image.Image:
    """A frame, uint8 (H, W, 3), shrunk to fit into ``size`` (width, height), with the box of a crop in it."""
    image = Image.fromarray(frame)
    image.thumbnail(size, Image.Resampling.LANCZOS)
    scale = image.width / frame.shape[1]
    top, left, tall, wide = (round(side * scale) for side in crop)
    line = max(2, image.width // 200)
    ImageDraw.Draw(image).rectangle((left, top, left + wide - 1, top + tall - 1), outline=BOX, width=line)
    return image


def _sheet(samples: Sequence[Sample], frames: Mapping[str, Plane]) -> Image.Image:
    fitted = partial(ImageOps.contain, method=Image.Resampling.LANCZOS)
    gts = [fitted(as_image(sample["gt"]), (CELL, HEIGHT)) for sample in samples]
    lqs = [[fitted(as_image(frame), (CELL, SMALL)) for frame in sample["lq"]] for sample in samples]
    columns = -(-len(lqs[0]) // 2)
    gt_left = GAP + CELL + GAP
    lq_left = gt_left + max(gt.width for gt in gts) + GAP
    width = max(1000, lq_left + columns * (max(lq[0].width for lq in lqs) + GAP))  # 1000 for the captions
    sheet = Image.new("RGB", (width, HEAD + len(samples) * (CAPTION + HEIGHT + GAP)), BACKGROUND)
    draw, large, small = ImageDraw.Draw(sheet), ImageFont.load_default(16), ImageFont.load_default(14)
    titles = {GAP: "source frame and crop", gt_left: "gt", lq_left: f"lq, {len(lqs[0])} frames in order"}
    for left, title in titles.items():
        draw.text((left, 9), title, fill=FAINT, font=large)
    for number, (sample, gt, lq) in enumerate(zip(samples, gts, lqs, strict=True)):
        top = HEAD + number * (CAPTION + HEIGHT + GAP)
        draw.text((GAP, top + 5), sample["key"], fill=INK, font=large)
        draw.text((gt_left, top + 7), "   ".join(_caption(sample)), fill=FAINT, font=small)
        top += CAPTION
        if (frame := frames.get(sample["key"])) is not None:
            sheet.paste(boxed(frame, sample["crop"], (CELL, HEIGHT)), (GAP, top))
        else:  # the movie cannot be read here
            sheet.paste(EMPTY, (GAP, top, GAP + CELL, top + HEIGHT))
        sheet.paste(gt, (gt_left, top))
        for index, image in enumerate(lq):
            line, column = divmod(index, columns)
            sheet.paste(image, (lq_left + column * (image.width + GAP), top + line * (SMALL + GAP)))
    return sheet


def _caption(sample: Sample) -> Iterator[str]:
    # Plain ASCII: Pillow's own font has little more.
    top, left, height, width = sample["crop"]
    yield f"{sample['format']} {width}x{height} at {left}, {top}"
    yield f"{sample['seconds']:.3f} s"
    yield f"scene change {sample['scene_change']:.1f}"
    yield f"sharpness {sample['measures']['sharpness']:.0f}"
    if sample["tonemap"]["curve"] != "none":
        yield f"{sample['tonemap']['curve']}, peak {sample['tonemap']['peak']:g} cd/m2"
