"""A report about a recipe or an exported folder: one HTML page that needs no server, network or other file."""

from __future__ import annotations

import base64
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ..errors import MissingExtraError
from ..exporter.display import is_watched, steps
from ..frames import Box, Plane
from ..recipe.toml import recipe_toml
from ..sampling.geometry import Geometry
from ..sampling.sample import Sample
from ..storage.paths import plain_path
from . import charts
from .contact_sheet import as_image, boxed
from .report_data import NITS, Refused, Selection, lights, most_telling, refused_windows, select, source_frames
from .shown_path import PagePath

RECORDS = 20_000
"""Records of an export whose metadata are read, at most."""
PATCH_WIDTH, FRAME_SIZE = 720, (640, 2560)
"""Largest width of ``gt``, and largest width and height of a source frame, in pixels of the page."""
MEASURES = {
    "entropy": "entropy (bits per pixel)",
    "sharpness": "sharpness (codes²)",
    "mean_luma": "mean luma (8-bit code)",
    "clipped": "clipped share of pixels",
    "motion": "motion (codes per frame)",
}


def html_report(source: str | Path, path: str | Path, rows: int = 48, *, progress: bool | None = None) -> PagePath:
    """Write the report.

    Args:
        source: a recipe file, or an exported folder or its URL.
        path: the .html to write.
        rows: number of samples, spread over the recipe or export.
        progress: whether to show what is being done; by default at a terminal and in a notebook.

    Returns:
        The path; in a notebook it shows a link.

    Raises:
        NoSamplesError: if there are no samples to show.
        MissingExtraError: without the extra ``report``.
    """
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise MissingExtraError("a report needs jinja2: pip install 'torch_hdrpatches[report]'") from None
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, autoescape=True)
    environment.filters |= {"webp": _webp, "on_one_line": _on_one_line}
    template = environment.from_string(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    shown = steps() if progress or (progress is None and is_watched()) else nullcontext(lambda step: None)
    with shown as begin:
        begin("choosing samples")
        page = template.render(**_page(select(source, rows, records=RECORDS), begin))
    target = Path(plain_path(path))
    target.write_text(page, encoding="utf-8")
    return PagePath(target)


def _page(selection: Selection, begin: Callable[[str], None]) -> dict[str, Any]:
    """The variables of the template. ``begin`` is told what is done."""
    recipe, samples, metadata, tally = selection.recipe, selection.samples, selection.metadata, selection.tally
    begin("reading source frames")
    frames = source_frames(selection)
    begin("reading refused windows")
    refused = refused_windows(selection)
    begin("measuring the brightness of movies")
    light_charts = [(light, charts.light(NITS, light.pixels, light.sdr, light.peak)) for light in lights(selection)]
    begin("drawing the page")
    by_format = {category: Counter[str]() for category in recipe.categories}
    by_category = {str(movie.name): Counter[str]() for movie in recipe.movies}
    for (category, fmt, movie), count in sorted(tally.samples.items()):
        by_format[category][fmt] += count
        by_category[movie][category] += count
    return {
        "selection": selection,
        "recipe_text": recipe_toml(recipe),
        "by_format": by_format,
        "by_category": by_category,
        "at_first_attempt": sum(fields["attempt"] == 0 for fields in metadata) / max(1, len(metadata)),
        "formats_chart": charts.formats(by_format, {name: spec.target for name, spec in recipe.categories.items()}),
        "scene_chart": _scene_chart(selection, refused),
        "refused": most_telling(refused),
        "lights": light_charts,
        "crop_maps": list(_crop_maps(selection)),
        "measures": [
            charts.histogram([fields["measures"][name] for fields in metadata], label, recipe.accept.bounds().get(name))
            for name, label in MEASURES.items()
        ],
        "cards": [_card(sample, frames.get(sample["key"])) for sample in samples],
        "version": version("torch_hdrpatches"),
    }


def _scene_chart(selection: Selection, refused: Sequence[Refused]) -> str:
    """The scores of accepted windows, and of refused ones by reason."""
    scores: dict[str, list[float]] = {}
    for window in sorted(refused, key=lambda window: window.reason):
        if window.ends:
            scores.setdefault(window.reason, []).append(window.score)
    sampling = selection.recipe.sampling
    threshold, unit = sampling.max_scene_change, "8-bit SDR codes, first to last frame"
    if sampling.stability == "steps":
        threshold, unit = 1.0, "refused from 1 on"
    return charts.scene_changes([fields["scene_change"] for fields in selection.metadata], scores, threshold, unit)


def _crop_maps(selection: Selection) -> Iterator[dict[str, Any]]:
    """Where crops lie, for each of the six most frequent sizes of working frame."""
    crops, active = defaultdict[tuple[int, int], list[Box]](list), defaultdict[tuple[int, int], set[Box]](set)
    for fields in selection.metadata:
        if facts := selection.facts.get(fields["movie"]):
            geometry = Geometry.of(facts, selection.recipe.sampling)
            crops[geometry.upright_size].append(Box(*fields["crop"]))
            active[geometry.upright_size].add(geometry.active)
    for size, boxes in sorted(crops.items(), key=lambda item: -len(item[1]))[:6]:
        yield {"size": size, "chart": charts.crop_density(boxes, *size, active[size]), "crops": len(boxes)}


def _card(sample: Sample, frame: Plane | None) -> dict[str, Any]:
    """What the page shows of a sample: images as large as they are shown, and all fields that are not images."""
    gt = as_image(sample["gt"])
    gt.thumbnail((PATCH_WIDTH, gt.height), Image.Resampling.LANCZOS)
    # The frames stacked top to bottom: the page scrolls through them.
    strip = Image.fromarray(np.concatenate([np.asarray(as_image(low)) for low in sample["lq"]]))
    strip.thumbnail((strip.width, 16_000), Image.Resampling.LANCZOS)  # WebP allows hardly more rows
    source = None if frame is None else boxed(frame, sample["crop"], FRAME_SIZE)
    fields = {name: value for name, value in sample.items() if not isinstance(value, Tensor) and name != "__key__"}
    return {"sample": sample, "frame": source, "gt": gt, "lq": strip, "fields": fields}


def _on_one_line(value: object) -> str:
    """A field of a sample as text."""
    match value:
        case dict():
            return ", ".join(f"{name} {_on_one_line(inner)}" for name, inner in value.items())
        case tuple() | list():
            return ", ".join(map(_on_one_line, value))
        case float():
            return f"{value:.6g}"
    return str(value)


def _webp(image: Image.Image, quality: int) -> str:
    """An image as a ``data:`` URI."""
    file = io.BytesIO()
    image.save(file, "webp", quality=quality, method=4)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
