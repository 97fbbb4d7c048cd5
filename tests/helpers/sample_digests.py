"""Prints a digest of every sample and of every exported file, so that two checkouts can be compared.

    python tests/helpers/sample_digests.py make FOLDER           # paint the demo's movie and write the recipes, once
    python tests/helpers/sample_digests.py print FOLDER > a.txt  # with each checkout on PYTHONPATH; then diff

A change that must not alter any sample gives the same lines before and after. FOLDER gets the demo's recipe, and one
over the usable clips of ``HDRPATCHES_CLIPS`` if that is set. Uses only the front door, to run on old checkouts.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

import torch_hdrpatches
from torch_hdrpatches import HDRPatchDataset, export

ASSUMED = {"transfer": "pq", "primaries": "bt2020", "matrix": "bt2020nc"}
VARIANTS: dict[str, dict[str, Any]] = {"sdr": {}, "both-sequence": {"output": "both", "gt": "sequence"}}
OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    "-keyframes": {"sampling": {"align": "keyframe"}, "crop": {"candidates": 3}},
    "-jitter": {"sampling": {"jitter": 1.0, "stability": "first_to_last"}, "tonemap": {"curve": "bt2390"}},
}


def make(folder: Path) -> None:
    """Write the demo's movie and the recipes."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        from torch_hdrpatches.cli.exports import make_demo
    except ImportError:
        from torch_hdrpatches.demo import make_demo  # type: ignore[import-not-found,no-redef]
    make_demo(folder)
    clips = os.environ.get("HDRPATCHES_CLIPS")
    if clips:
        movies: list[dict[str, Any]] = [
            {"path": str(path), "name": path.stem.lower(), "categories": {"a": 1.0, "b": 0.7}, "assume": ASSUMED}
            for path in sorted(Path(clips).iterdir())
            if path.suffix not in (".md", ".png")
        ]
        recipe: dict[str, Any] = {
            "sampling": {"timestamps_per_movie": 6, "retry_skip": 0.3},
            "formats": {"small": {"gt": [96, 96]}, "wide": {"gt": [90, 120], "scale": 2}},
            "categories": {
                "a": {"formats": {"small": 0.6, "wide": 0.4}},
                "b": {"formats": {"wide": 1.0}, "target": 40},
            },
            "movies": movies,
        }
        recipe["movies"] = [movie for movie in movies if is_usable(recipe, movie["name"])]
        (folder / "clips.json").write_text(json.dumps(recipe, indent=1), encoding="utf-8")


def is_usable(recipe: dict[str, Any], movie: str) -> bool:
    """Whether a movie of a recipe can be used. Manifests quote the reason why it cannot, whose wording may change."""
    try:
        HDRPatchDataset(recipe).stream.facts(movie)
    except ValueError:
        return False
    return True


def digest(value: Any) -> str:
    """A short digest of anything that a sample holds."""
    if isinstance(value, torch.Tensor):
        return hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()[:16] + str(tuple(value.shape))
    return repr(value)


def of_stream(recipe: Any, **options: Any) -> Iterator[str]:
    """A line per outcome of epochs 0 and 1."""
    stream = HDRPatchDataset(recipe, **options).stream
    for epoch in (0, 1):
        for position in range(len(stream.plan)):
            for outcome in stream.run(epoch, stream.plan.run_at(epoch, position)):
                parts = [digest(sample[key]) for sample in outcome.samples for key in sorted(sample)]
                rejects = [reason if isinstance(reason, str) else reason[-1] for reason in outcome.rejects]
                told = (outcome.movie, epoch, outcome.slot, rejects, outcome.refused, outcome.windows)
                data = hashlib.sha256(repr(parts).encode()).hexdigest()
                yield f"{told} {outcome.failure} {len(outcome.samples)} {data}"


def of_export(recipe: Any, **options: Any) -> Iterator[str]:
    """A line per exported file; of the manifest, all but its time."""
    with tempfile.TemporaryDirectory() as out:
        try:
            export(recipe, out, **options)
        except RuntimeError as error:
            yield f"export: {type(error).__name__}: {error}".replace(out, "OUT")
        for path in sorted(path for path in Path(out).rglob("*") if path.is_file()):
            data = path.read_bytes()
            if path.name == "manifest.json":
                manifest = json.loads(data)
                del manifest["created"]
                data = json.dumps(manifest, sort_keys=True).encode()
            yield f"{path.relative_to(out)} {len(data)} {hashlib.sha256(data).hexdigest()}"


def main() -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "make":
        make(folder)
        return
    print(torch_hdrpatches.__file__, file=sys.stderr)
    os.chdir(folder)
    import tomllib

    recipes = {"demo": tomllib.loads(Path("recipe.toml").read_text())}
    if Path("clips.json").exists():
        recipes["clips"] = json.loads(Path("clips.json").read_text())
    for name, recipe in recipes.items():
        if len(sys.argv) > 3 and name not in sys.argv[3:]:
            continue
        for suffix, changes in OPTIONS.items():
            changed = recipe | {section: recipe.get(section, {}) | keys for section, keys in changes.items()}
            for variant, options in VARIANTS.items():
                if name == "demo" and suffix and variant != "sdr":
                    continue
                for line in of_stream(changed, **options):
                    print(f"{name}{suffix} {variant} {line}", flush=True)
        for line in of_export(recipe):
            print(f"{name} export {line}", flush=True)


if __name__ == "__main__":
    main()
