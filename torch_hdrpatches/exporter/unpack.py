"""Unpacks exported shards into the folders of PNG files, or the LMDBs, that BasicSR and other trainers read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from torch import Tensor

from ..errors import ExportError, MissingExtraError, NoSamplesError, RecipeError, ShardError
from ..files import remove_temporary_files, whole_file
from ..shards.browse import shards_of
from ..shards.codecs import encode_image
from ..shards.index import sidecar_of
from ..shards.layouts import LAYOUTS, placed, shape_of
from ..shards.record import records, sample_of
from ..storage.disk_errors import as_export_error
from ..storage.folder import Folder, folder_and_name
from .processes import Executor, heartbeat, serial

LayoutName: TypeAlias = Literal["vimeo90k", "reds", "paired", "scenes"]
STATE = ".unpacked"
"""Folder of the settings and of a file per finished shard, by which the same call resumes."""
_NAME = re.compile(r"[a-z0-9_-]{1,100}")
_Put: TypeAlias = Callable[[str, Mapping[str, Tensor]], None]


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What an unpacked folder contains."""

    samples: int = 0
    images: int = 0
    scale: int = 0
    largest_crop: int = 0
    """Height and width of the largest square that every ``gt`` contains: the largest possible ``gt_size``."""

    def with_part(self, part: Mapping[str, Any]) -> Self:
        """With the counts of one more shard."""
        if not part["lines"]:
            return self
        if self.samples and self.scale != part["scale"]:
            raise RecipeError(f"patches have the scales {self.scale} and {part['scale']}; choose one format")
        return replace(
            self,
            samples=self.samples + len(part["lines"]),
            images=self.images + len(part["gt"]) + len(part["lq"]),
            scale=part["scale"],
            largest_crop=min(self.largest_crop or part["largest_crop"], part["largest_crop"]),
        )


@dataclass(frozen=True, slots=True)
class _Task:
    """What the work on all shards has in common."""

    folder: Path
    layout: str
    format: str | None
    lmdb_bytes: int
    """Largest size of an LMDB; 0: PNG files are written."""


def unpack(
    source: str | Path,
    folder: str | Path,
    layout: LayoutName,
    *,
    category: str | None = None,
    format: str | None = None,
    lmdb: bool = False,
    executor: Executor[str, None] = serial,
) -> Unpacked:
    """Write exported samples as ``FOLDER/gt``, ``FOLDER/lq`` and ``FOLDER/meta_info.txt``, without loss.

    The same call again does only what is missing, and adds the shards that the export has got since. Files are written
    whole or not at all, ``meta_info.txt`` last.

    Args:
        source: an exported folder, one tar or a glob; a path or URL.
        folder: a folder on a disk, of this call only.
        layout: ``vimeo90k``, ``reds``, ``paired`` or ``scenes``.
        category, format: unpack samples of this category or format only.
        lmdb: write ``FOLDER/gt.lmdb`` and ``FOLDER/lq.lmdb`` instead of PNG files.
        executor: ``processes(n)`` unpacks n shards at a time.

    Raises:
        RecipeError: if the layout cannot hold the samples, or they have several scales; says what would help.
        ShardError: if there are no shards, a shard is damaged, or a name in it is not one of this package.
        NoSamplesError: if no record is chosen.
        ExportError: if the folder holds other samples, or the disk is full or cannot be written.
        MissingExtraError: if ``lmdb`` is wanted and not installed.
    """
    if layout not in LAYOUTS:
        raise RecipeError(f"unknown layout {layout!r}, expected one of: {', '.join(LAYOUTS)}")
    if lmdb and layout == "scenes":
        raise RecipeError("the trainer of the layout scenes reads no LMDB; leave out --lmdb (lmdb=True)")
    if lmdb:
        _lmdb()
    shards = _by_name(shards_of(source, category))
    # A file is larger by at most its padding and the overhead of a page; nothing is allocated before it is used.
    largest = (1 << 30) + 16 * sum(_size(location) for location in shards.values()) if lmdb else 0
    task = _Task(Path(folder), layout, format, largest)
    with as_export_error(folder):
        _begin(task, {"layout": layout, "category": category, "format": format, "lmdb": lmdb}, shards)
        missing = [location for name, location in shards.items() if not _part_file(task.folder, name).exists()]
        if missing:
            remove_temporary_files(task.folder)
        for _ in executor(partial(_unpack_shard, task), missing):
            pass
        return _finish(task, shards)


def _by_name(locations: Iterable[str]) -> dict[str, str]:
    """The shards by their names without suffix, sorted."""
    shards = dict[str, str]()
    for location in locations:
        name = _checked(folder_and_name(location)[1].removesuffix(".tar"), location)
        if name in shards:
            raise ShardError(f"{location} and {shards[name]} have the same name; unpack them into different folders")
        shards[name] = location
    return dict(sorted(shards.items()))


def _checked(name: str, location: str) -> str:
    """A name that becomes part of a path, and may come from anyone."""
    if not _NAME.fullmatch(name):
        raise ShardError(f"{location}: {name!r} is not a name of this package ([a-z0-9_-]+), and is not unpacked")
    return name


def _size(location: str) -> int:
    folder, name = folder_and_name(location)
    return folder.size(name)


def _part_file(folder: Path, shard: str) -> Path:
    """The file that says that a shard is unpacked, and lists its images."""
    return folder / STATE / f"{shard}.json"


def _identity(location: str) -> str:
    return str(sidecar_of(location).get("sha256") or _size(location))


def _begin(task: _Task, settings: Mapping[str, Any], shards: Mapping[str, str]) -> None:
    """Check that what the folder holds comes from the same shards with the same settings."""
    state = Folder.of(task.folder / STATE)
    if not state.exists("settings.json"):
        if task.folder.exists() and any(path.name != STATE for path in task.folder.iterdir()):
            raise ExportError(f"{task.folder} is not empty; unpack into a folder of its own")
        state.write_json("settings.json", settings)
    found = state.read_json("settings.json")
    if differing := [name for name, value in settings.items() if found.get(name) != value]:
        was = ", ".join(f"{name}: {found.get(name)}" for name in differing)
        raise ExportError(f"{task.folder} was unpacked with other settings ({was}); choose another folder")
    for file in state.names("*.json"):
        name = file.removesuffix(".json")
        if name != "settings" and (
            name not in shards
            or json.loads(_part_file(task.folder, name).read_bytes())["shard"] != _identity(shards[name])
        ):
            raise ExportError(f"{task.folder} was unpacked from another shard {name}; choose another folder")


def _unpack_shard(task: _Task, location: str) -> None:
    """Write the images of a shard, and last the file that says so."""
    source, file_name = folder_and_name(location)
    shard, part = file_name.removesuffix(".tar"), _empty_part(location)
    with _store(task) as put, source.open(file_name) as file:
        for key, members in records(file, location):
            _checked(key, location)
            heartbeat(f"shard {shard}, record {key}")
            if task.format and json.loads(members.get("json", b"{}")).get("format") != task.format:
                continue
            sample = sample_of(key, members)
            sample["key"] = key  # that of its .json is not checked
            images = placed(task.layout, shard, sample)
            scale = sample["gt"].shape[-1] // sample["lq"].shape[-1]
            if scale != (part["scale"] or scale):
                raise RecipeError(f"{key} has scale {scale}, others {part['scale']}; choose a format with --format")
            put("gt", images.gt)
            put("lq", images.lq)
            crop = min(sample["gt"].shape[-2:])
            part |= {"scale": scale, "largest_crop": min(part["largest_crop"] or crop, crop)}
            part["lines"].append(images.line)
            for kind, frames in (("gt", images.gt), ("lq", images.lq)):
                part[kind] += [f"{name}.png {shape_of(frame)}" for name, frame in frames.items()]
    with whole_file(_part_file(task.folder, shard)) as done:
        done.write(json.dumps(part).encode())


def _empty_part(location: str) -> dict[str, Any]:
    return {"shard": _identity(location), "scale": 0, "largest_crop": 0, "lines": [], "gt": [], "lq": []}


@contextmanager
def _store(task: _Task) -> Iterator[_Put]:
    """A function that writes frames of ``gt`` or ``lq`` by name."""
    if not task.lmdb_bytes:
        yield partial(_put_files, task.folder)
        return
    lmdb = _lmdb()
    with ExitStack() as stack:
        try:
            databases = {
                kind: stack.enter_context(lmdb.open(str(_database(task.folder, kind)), map_size=task.lmdb_bytes))
                for kind in ("gt", "lq")
            }
            yield partial(_put_rows, databases)
        except lmdb.Error as error:
            raise ExportError(f"{task.folder}: the LMDB cannot be written: {error}") from error


def _put_files(folder: Path, kind: str, frames: Mapping[str, Tensor]) -> None:
    for name, frame in frames.items():
        with whole_file(folder / kind / f"{name}.png") as file:
            file.write(_png(frame))


def _put_rows(databases: Mapping[str, Any], kind: str, frames: Mapping[str, Tensor]) -> None:
    with databases[kind].begin(write=True) as transaction:
        for name, frame in frames.items():
            transaction.put(name.encode(), _png(frame))


def _png(frame: Tensor) -> bytes:
    return encode_image(frame.permute(1, 2, 0).contiguous().numpy())


def _database(folder: Path, kind: str) -> Path:
    return folder / f"{kind}.lmdb"


def _lmdb() -> Any:
    try:
        import lmdb
    except ImportError as error:
        raise MissingExtraError("LMDBs need lmdb: pip install 'torch_hdrpatches[trainers]'") from error
    return lmdb


def _finish(task: _Task, shards: Iterable[str]) -> Unpacked:
    """Write the lists of samples and images; returns what is there."""
    parts = partial(_parts, task.folder, shards)
    unpacked, samples = Unpacked(), set[str]()
    for part in parts():
        unpacked = unpacked.with_part(part)
        names = {line.partition(" ")[0] for line in part["lines"]}
        if twice := sorted(names & samples):
            raise ShardError(f"{twice[0]} is in two shards; `hdrpatches verify` lists such keys")
        samples |= names
    if not unpacked.samples:
        raise NoSamplesError(f"none of the records has format {task.format!r}")
    if task.lmdb_bytes:
        for kind in ("gt", "lq"):
            images = (f"{image} 1" for part in parts() for image in part[kind])  # 1: the compression level
            _write_lines(_database(task.folder, kind) / "meta_info.txt", images)
    _write_lines(task.folder / "meta_info.txt", (line for part in parts() for line in part["lines"]))
    return unpacked


def _parts(folder: Path, shards: Iterable[str]) -> Iterator[dict[str, Any]]:
    for shard in shards:
        yield json.loads(_part_file(folder, shard).read_bytes())


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with whole_file(path) as file:
        file.writelines(f"{line}\n".encode() for line in lines)
