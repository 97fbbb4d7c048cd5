"""The pictures of a report: made small, and written into the page itself."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from .frames import Plane
from .report import BOX, as_image

FRAME_WIDTH = 640
"""Pixels across which a source frame is shown at most."""
WEBP_HEIGHT = 16_000
"""Rows that a WebP picture may have, about."""


def boxed(frame: Plane, crop: tuple[int, int, int, int]) -> Image.Image:
    """A whole frame, uint8 (H, W, 3), with the box (top, left, height, width) of a crop."""
    image = narrowed(Image.fromarray(frame), FRAME_WIDTH)
    scale = image.width / frame.shape[1]
    top, left, height, width = (round(side * scale) for side in crop)
    ImageDraw.Draw(image).rectangle((left, top, left + width - 1, top + height - 1), outline=BOX, width=3)
    return image


def strip(lq: Tensor) -> Image.Image:
    """The frames one below the other: the page moves through them."""
    frames = Image.fromarray(np.concatenate([np.asarray(as_image(frame)) for frame in lq]))
    return narrowed(frames, frames.width * WEBP_HEIGHT // max(frames.height, WEBP_HEIGHT))


def narrowed(picture: Image.Image, width: int) -> Image.Image:
    """At most ``width`` pixels across."""
    if picture.width <= width:
        return picture
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)


def inlined(picture: Image.Image, quality: int) -> dict[str, Any]:
    """A picture as an address that holds it, and its (width, height)."""
    file = io.BytesIO()
    picture.save(file, "webp", quality=quality, method=4)
    return {"uri": f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}", "size": picture.size}
