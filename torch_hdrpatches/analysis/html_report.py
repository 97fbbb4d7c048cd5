"""One self-contained page about a recipe or an exported folder: no server, no network, nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

from ..errors import MissingExtraError
from ..frames import Box, Plane
from ..recipe.recipe import Recipe
from ..recipe.toml import recipe_toml
from ..sampling.geometry import Geometry
from ..sampling.sample import Sample
from ..video.facts import Facts
from . import charts
from .contact_sheet import BOX, as_image
from .report_data import NITS, Evidence, Refused, evidence_of

PATCH_WIDTH = 720
"""Pixels across which ``gt`` is shown at most."""
MAPS = 6
"""Sizes of working frame for which a map of crops is shown."""
MEASURES = {
    "entropy": "entropy (bits per pixel)",
    "sharpness": "sharpness (codes²)",
    "mean_luma": "mean luma (8-bit code)",
    "clipped": "clipped share of pixels",
    "motion": "motion (codes per frame)",
}


def html_report(source: str | Path, path: str | Path, rows: int = 48) -> Path:
    """Write the report.

    Args:
        source: a recipe, or an exported folder or its URL.
        path: the .html to write.
        rows: sample cards, spread over what there is.

    Raises:
        NoSamplesError: if there is no sample to show.
        MissingExtraError: without the extra ``report``.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("a report needs jinja2: pip install 'torch_hdrpatches[report]'") from None
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("report.html").render(**_page(evidence_of(source, rows)))
    Path(path).write_text(page, encoding="utf-8")
    return Path(path)


def _page(evidence: Evidence) -> dict[str, Any]:
    """Everything the template names."""
    recipe, tally = evidence.recipe, evidence.tally
    return {
        "title": evidence.title,
        "origin": evidence.origin,
        "version": version("torch_hdrpatches"),
        "versions": evidence.versions,
        "figures": _figures(evidence),
        "formats_chart": charts.formats(
            _by_format(evidence), {name: one.target for name, one in recipe.categories.items()}
        ),
        "categories": list(_categories(evidence)),
        "movies": list(_movies(evidence)),
        "reasons": tally.reasons(),
        "scene_chart": charts.scene_changes(
            [one["scene_change"] for one in evidence.metadata], _scores(evidence), *_threshold(recipe)
        ),
        "refused": [_window(one) for one in evidence.shown()],
        "lights": [
            {
                "movie": one.movie,
                "chart": charts.light(NITS, one.pixels, one.sdr, one.peak),
                "curve": recipe.tonemap.curve,
                "peak_from": one.peak_from,
            }
            for one in evidence.lights
        ],
        "density": list(_densities(evidence)),
        "measures": [
            charts.histogram(
                [one["measures"][name] for one in evidence.metadata], label, recipe.accept.bounds().get(name)
            )
            for name, label in MEASURES.items()
        ],
        "choices": {
            what: sorted({sample[what] for sample in evidence.samples}) for what in ("category", "format", "movie")
        },
        "cards": [_card(evidence, sample) for sample in evidence.samples],
        "recipe": recipe_toml(recipe),
    }


def _scores(evidence: Evidence) -> dict[str, list[float]]:
    """Reason to the scores of windows that were refused for it, of those that were looked at again."""
    scores: dict[str, list[float]] = {}
    for one in evidence.refused:
        if one.ends and one.reason:
            scores.setdefault(one.reason, []).append(one.score)
    return dict(sorted(scores.items()))


def _threshold(recipe: Recipe) -> tuple[float, str]:
    """The score from which windows are refused, and what it counts."""
    if recipe.sampling.stability == "steps":
        return 1.0, "1 and more is refused"
    return recipe.sampling.max_scene_change, "8-bit SDR codes, first to last frame"


def _figures(evidence: Evidence) -> dict[str, str]:
    """The numbers at the top."""
    tally, metadata = evidence.tally, evidence.metadata
    first = sum(one["attempt"] == 0 for one in metadata) / max(1, len(metadata))
    return {
        "samples": f"{tally.total:,}",
        "slots looked at": f"{tally.slots:,}",
        "given at the first attempt": f"{first:.0%}",
        "windows refused": f"{sum(tally.reasons().values()):,}",
        "movies that cannot be used": f"{len(evidence.failures)}",
    }


def _by_format(evidence: Evidence) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {category: {} for category in evidence.recipe.categories}
    for (category, name, _), count in sorted(evidence.tally.samples.items()):
        counts[category][name] = counts[category].get(name, 0) + count
    return counts


def _categories(evidence: Evidence) -> Iterator[dict[str, Any]]:
    for name, by_format in _by_format(evidence).items():
        total, target = sum(by_format.values()), evidence.recipe.categories[name].target
        yield {
            "name": name,
            "samples": total,
            "target": target,
            "done": min(1.0, total / target) if target else None,
            "formats": {fmt: (count, count / max(1, total)) for fmt, count in by_format.items()},
        }


def _movies(evidence: Evidence) -> Iterator[dict[str, Any]]:
    tally = evidence.tally
    given = tally.by("movie")
    for movie in evidence.recipe.movies:
        name = str(movie.name)
        facts = evidence.facts.get(name)
        yield {
            "name": name,
            "path": movie.path,
            "facts": facts,
            "light": _light_of(facts) if facts else "",
            "bars": facts is not None and facts.active != Box(0, 0, facts.height, facts.width),
            "share": given.get(name, 0) / max(given.values(), default=1),
            "samples": {
                category: sum(n for (c, _, m), n in tally.samples.items() if (c, m) == (category, name))
                for category in movie.categories
            },
            "reasons": {reason: count for (one, reason), count in sorted(tally.rejects.items()) if one == name},
            "failure": evidence.failures.get(name, ""),
            "warnings": facts.warnings if facts else (),
        }


def _light_of(facts: Facts) -> str:
    known = [f"MaxCLL {facts.max_cll:g}"] if facts.max_cll else []
    known += [f"mastering {facts.mastering_peak:g}"] if facts.mastering_peak else []
    light = f"{', '.join(known)} cd/m²" if known else "no light metadata"
    return f"{light}, Dolby Vision {facts.dolby_vision}" if facts.dolby_vision else light


def _densities(evidence: Evidence) -> Iterator[dict[str, Any]]:
    """Where crops lie, one map per size of working frame, the most frequent first."""
    sizes: dict[tuple[int, int], list[Box]] = {}
    active: dict[tuple[int, int], set[Box]] = {}
    for one in evidence.metadata:
        if facts := evidence.facts.get(one["movie"]):
            geometry = Geometry.of(facts, evidence.recipe.sampling)
            sizes.setdefault(geometry.upright_size, []).append(Box(*one["crop"]))
            active.setdefault(geometry.upright_size, set()).add(geometry.active)
    for size, crops in sorted(sizes.items(), key=lambda item: -len(item[1]))[:MAPS]:
        chart = charts.crop_density(crops, *size, active[size])
        yield {"size": f"{size[1]}×{size[0]}", "chart": chart, "crops": len(crops)}


def _window(refused: Refused) -> dict[str, Any]:
    pictures = [inlined(Image.fromarray(end), 70) for end in refused.ends or ()]
    return {**{name: getattr(refused, name) for name in ("movie", "seconds", "reason", "score")}, "pictures": pictures}


def _card(evidence: Evidence, sample: Sample) -> dict[str, Any]:
    gt, lq = as_image(sample["gt"]), sample["lq"]
    frame = evidence.frames.get(sample["key"])
    known = {name: value for name, value in sample.items() if not isinstance(value, Tensor)}
    return {
        **{name: known[name] for name in ("key", "category", "format", "movie", "seconds", "scene_change", "attempt")},
        "frame": inlined(boxed(frame, sample["crop"]), 78) if frame is not None else None,
        "gt": inlined(narrowed(gt, PATCH_WIDTH), 88),
        "gt_size": gt.size,
        "lq": inlined(strip(lq), 90),
        "frames": len(lq),
        "lq_size": (lq.shape[-1], lq.shape[-2]),
        "known": {name: _said(value) for name, value in known.items() if name != "__key__"},
    }


def _said(value: object) -> str:
    """A field of a sample on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(inner)}" for name, inner in value.items())
    if isinstance(value, tuple | list):
        return ", ".join(_said(inner) for inner in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


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
