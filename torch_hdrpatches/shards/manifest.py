"""Sidecars, manifest, wids index and dataset card: the files of an exported folder that describe its shards."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

from ..errors import ExportError, MovieError, ShardError
from ..recipe.recipe import Recipe
from ..sampling.fingerprint import describe_differences, differing, identity_of
from ..sampling.sample import SampleOptions
from ..sampling.stream import PatchStream
from ..sampling.tally import Tally
from ..storage.folder import Folder, Location

FORMAT_VERSION = 1
"""Of records, sidecars and manifest. Readers accept this version and all earlier ones."""
WORK = ".work"
"""Work folder of an unfinished export: shards of finished jobs, their records, and the export record."""
EXPORT_RECORD = f"{WORK}/export.json"
"""The export record: the identity of the export, and the targets that were reached before they were raised."""
SIDECARS = "[!.]*/*-[0-9]*.json"
"""Pattern of the names of sidecars in an exported folder."""


def shard_name(category: str, index: int) -> str:
    """The name of a shard in the exported folder, without its suffix."""
    return f"{category}/{category}-{index:06d}"


def identity(stream: PatchStream) -> dict[str, Any]:
    """All settings, options and movie files that the bytes of an export depend on, as flat keys."""
    return {"format_version": FORMAT_VERSION, **identity_of(stream.recipe, stream.names)}


def recipe_of(location: Location) -> Recipe:
    """The recipe that a finished folder was exported from. Raises as ``manifest_of``."""
    return Recipe.from_dict(manifest_of(location)["recipe"], source=Folder.of(location).location("manifest.json"))


def stream_of(
    location: Location, recipe: str | Path | Recipe | None = None, **options: Unpack[SampleOptions]
) -> PatchStream:
    """The stream that a finished folder was exported from.

    Give a ``recipe`` if movies were moved, and ``degrade``, ``transform`` and ``curve`` if the export was made with
    them. Raises as ``manifest_of``, and ExportError if the recipe, movie files or options are not those of the export.
    """
    found = manifest_of(location)["identity"]
    made_with: SampleOptions = {"output": found["output"], "gt": found["gt"], **options}
    stream = PatchStream(recipe or recipe_of(location), **made_with)
    wanted = identity(stream)
    if keys := [key for key in differing(found, wanted) if key != "format_version"]:
        differences = describe_differences(found, wanted, keys)
        raise ExportError(f"{location} was exported with other settings or movies; differing: {differences}")
    return stream


def manifest_of(location: Location) -> dict[str, Any]:
    """The manifest of a finished folder. Raises ShardError if the folder is not finished, or the manifest damaged."""
    folder = Folder.of(location)
    try:
        manifest: dict[str, Any] = folder.read_json("manifest.json")
        if manifest["schema"] > FORMAT_VERSION:
            raise ValueError(f"format {manifest['schema']} needs a later version of torch_hdrpatches")
        if missing := {"identity", "recipe_hash", "shards"} - manifest.keys():
            raise KeyError(*sorted(missing))
        Recipe.from_dict(manifest["recipe"])
    except FileNotFoundError:
        raise ShardError(
            f"{folder}: no manifest.json; not an export, or not finished: run it again to resume"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        remedy = "only the manifest tells what was exported, so export the recipe into another folder"
        raise ShardError(f"{folder}: manifest.json cannot be read ({error!r}); {remedy}") from None
    return manifest


def sidecars(location: Location, names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """The sidecars of all finished shards, by the shard's name without its suffix, sorted.

    ``names`` are the files of the sidecars; by default those that the folder lists. Raises ShardError if one of the
    files is not a sidecar.
    """
    folder, found = Folder.of(location), {}
    for name in folder.names(SIDECARS) if names is None else sorted(names):
        fields = folder.read_json(name)
        if not isinstance(fields, dict) or "sha256" not in fields:
            raise ShardError(f"{folder.location(name)}: not a sidecar")
        found[name.removesuffix(".json")] = fields
    return found


def tally_of(location: Location) -> Tally:
    """The tally of the finished shards of a folder. Raises ShardError if there are none."""
    if not (found := sidecars(location)):
        raise ShardError(f"{location}: no finished shards here")
    return tally_of_sidecars(found.values())


def tally_of_sidecars(found: Iterable[Mapping[str, Any]]) -> Tally:
    """The samples of shards, the refusals of their categories, and once for each job what it counted besides."""
    tally, jobs = Tally(), dict[int, Any]()
    for sidecar in found:
        tally.samples.update({(sidecar["category"], name, movie): n for name, movie, n in sidecar["counts"]})
        tally.rejects.update({(movie, reason): n for movie, reason, n in sidecar["refused"]})
        jobs[sidecar["index"]] = sidecar["job"]
    for job in jobs.values():
        tally += Tally.from_json(job)
    return tally


def finished_tally(folder: Folder) -> Tally:
    """The tally of a finished folder, from its manifest. Raises as ``manifest_of``."""
    return Tally.from_json(manifest_of(folder)["tally"])


def record_of(folder: Folder) -> dict[str, Any] | None:
    """What tells which export a folder holds: the export record, or the manifest; None if there is neither."""
    for name in (EXPORT_RECORD, "manifest.json"):
        with suppress(FileNotFoundError):
            record: dict[str, Any] = folder.read_json(name)
            return record
    return None


def finish(
    folder: Folder,
    stream: PatchStream,
    names: Iterable[str],
    epochs: int,
    milestones: Mapping[str, Sequence[int]],
) -> None:
    """Write the wids indexes, the dataset card, and last the manifest, which marks the export as complete.

    ``names`` are the files of all sidecars. Raises ExportError if one of their shards is not in place.
    """
    recipe, shards = stream.recipe, sidecars(folder, names)
    _check_in_place(folder, shards)
    tally = tally_of_sidecars(shards.values())
    for category in tally.by("category"):
        folder.write_json(f"{category}/wids.json", wids_of(category, shards))
    with folder.whole_file("README.md") as file:
        file.write(card_of(recipe, tally).encode())
    folder.write_json(
        "manifest.json",
        {
            "schema": FORMAT_VERSION,
            "identity": (record_of(folder) or {"identity": identity(stream)})["identity"],
            "recipe": recipe.model_dump(mode="json"),
            "versions": {name: version(name) for name in ("torch_hdrpatches", "torch", "numpy", "av", "numba", "isal")},
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "movies": {movie.name: _movie(stream, movie.name, tally) for movie in recipe.movies},
            "epochs": epochs,
            "milestones": {name: list(reached) for name, reached in milestones.items()},
            **summary_of(recipe, shards),
        },
    )


def _check_in_place(folder: Folder, shards: Mapping[str, Mapping[str, Any]]) -> None:
    sizes = {f"{name}.tar": sidecar["bytes"] for name, sidecar in shards.items() if sidecar["samples"]}
    with ThreadPoolExecutor(16) as threads:  # a store takes its time for each answer
        in_place = threads.map(folder.holds, sizes, sizes.values())
        missing = [name for name, is_there in zip(sizes, in_place, strict=True) if not is_there]
    if missing:
        raise ExportError(
            f"{folder}: {len(missing)} shards are not there with the size in their sidecars, first {missing[0]}; "
            "remove their sidecars (.json) and run the same command again, which makes them again"
        )


def summary_of(recipe: Recipe, shards: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The fields of a manifest that follow from the recipe and the sidecars."""
    tally = tally_of_sidecars(shards.values())
    return {
        "recipe_hash": recipe.hash,
        "shards": [
            {"name": f"{name}.tar", **{key: sidecar[key] for key in ("samples", "bytes", "sha256")}}
            for name, sidecar in shards.items()
            if sidecar["samples"]
        ],
        "targets": {name: category.target or 0 for name, category in recipe.categories.items()},
        "samples": {what: tally.by(what) for what in ("category", "format", "movie")},
        "rejects": tally.reasons(),
        "tally": tally.to_json(),
    }


def _movie(stream: PatchStream, name: str, tally: Tally) -> dict[str, Any]:
    try:
        return {"failure": tally.failures.get(name, ""), "facts": asdict(stream.facts(name))}
    except MovieError as failure:
        return {"failure": str(failure), "facts": None}


def wids_of(category: str, shards: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The index of a category's shards in the format of ``wids``."""
    shardlist = [
        {
            "url": f"{category}-{sidecar['index']:06d}.tar",
            "md5sum": sidecar["md5"],
            "nsamples": sidecar["samples"],
            "filesize": sidecar["bytes"],
        }
        for sidecar in shards.values()
        if sidecar["category"] == category and sidecar["samples"]
    ]
    return {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": category, "shardlist": shardlist}


def card_of(recipe: Recipe, tally: Tally) -> str:
    """The dataset card, with the settings that Hugging Face ``datasets`` needs to load each category."""
    samples = tally.by("category")
    configs = "".join(
        f"- config_name: {name}\n  data_files:\n  - split: train\n    path: {name}/*.tar\n" for name in samples
    )
    rows = "".join(f"| {name} | {count} |\n" for name, count in samples.items())
    return (
        f"---\ntask_categories:\n- image-to-image\ntags:\n- video-super-resolution\n- hdr\n- webdataset\n"
        f"configs:\n{configs}---\n\n# Video super-resolution patches\n\n"
        f"Written by torch_hdrpatches from recipe `{recipe.hash}`. A record holds `gt` (the centre frame), `lq` "
        "(the low-quality frames, stacked top to bottom) and `json` (where it comes from).\n\n"
        f"| category | samples |\n|---|---|\n{rows}"
    )
