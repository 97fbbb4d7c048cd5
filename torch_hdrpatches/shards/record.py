"""Samples as records of WebDataset tar shards, and back."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypedDict, cast

import numpy as np
import torch
from torch import Tensor

from ..errors import ShardError
from ..sampling.sample import Sample
from ..storage.folder import Folder, expanded
from ..storage.remote import is_url
from .codecs import CODECS, decode, encode

FORMAT_VERSION = 1
"""Of the records; a reader reads its own and all earlier versions."""

PICTURES = ("gt", "lq", "gt_hdr", "lq_hdr")


class Contents(TypedDict):
    """What a shard holds, as its sidecar says it."""

    samples: int
    bytes: int
    sha256: str
    md5: str
    counts: list[list[str | int]]
    """[format, movie, samples]"""
    first_key: str
    last_key: str
    suffixes: list[str]
    """Of the members of every record."""
    records: list[str]
    """``KEY BYTES BYTES ...``, the bytes of each member: tells where each record lies without reading the tar."""


class ShardWriter:
    """Writes records into one tar whose bytes depend on nothing but the samples."""

    def __init__(self, file: IO[bytes], codec: str = "png") -> None:
        self._hashing = _HashingFile(file)
        # Not "w|", which keeps a buffer that it tries to write once more when it is thrown away after an error.
        self._tar = tarfile.open(fileobj=self._hashing, mode="w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self._codec = codec
        self._suffixes: list[str] = []
        self._records: list[str] = []
        self._counts: Counter[tuple[str, str]] = Counter()

    def write(self, sample: Sample) -> None:
        """Append a sample: ``KEY.gt.png``, ``KEY.lq.png`` (frames stacked top to bottom), ``KEY.json``."""
        self.write_record(sample["key"], record(sample, self._codec), sample["format"], sample["movie"])

    def write_record(self, key: str, members: Mapping[str, bytes], format: str, movie: str) -> None:
        """Append a record that is encoded already."""
        for suffix, data in members.items():
            # TarInfo's own defaults are time 0, owner 0 and mode 0644: nothing of this machine gets in.
            member = tarfile.TarInfo(f"{key}.{suffix}")
            member.size = len(data)
            self._tar.addfile(member, io.BytesIO(data))
        if self._records and list(members) != self._suffixes:
            raise ShardError(f"record {key} has {', '.join(members)}, those before it {', '.join(self._suffixes)}")
        self._suffixes = list(members)
        self._records.append(" ".join([key, *(str(len(data)) for data in members.values())]))
        self._counts[format, movie] += 1

    def close(self) -> Contents:
        """End the tar, and say what is in it."""
        self._tar.close()
        return Contents(
            samples=len(self._records),
            bytes=self._hashing.size,
            sha256=self._hashing.sha256.hexdigest(),
            md5=self._hashing.md5.hexdigest(),
            counts=[[format, movie, count] for (format, movie), count in sorted(self._counts.items())],
            first_key=self._records[0].partition(" ")[0],
            last_key=self._records[-1].partition(" ")[0],
            suffixes=self._suffixes,
            records=self._records,
        )


class _HashingFile(io.RawIOBase):
    """Passes writes on and hashes them, so that a shard need not be read back for its sidecar."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)  # wids wants it
        self.size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.md5.update(data)
        self.size += len(data)
        self._file.write(data)
        return len(data)


def record(sample: Sample, codec: str = "png") -> dict[str, bytes]:
    """The members of a record by suffix, in their order in the tar."""
    fields: dict[str, Any] = {name: value for name, value in sample.items() if name not in PICTURES}
    fields["frames"] = {}
    members = {}
    for name in PICTURES:
        if name in sample:
            tensor: Tensor = sample[name]  # type: ignore[literal-required]
            fields["frames"][name] = tensor.shape[0] if tensor.ndim == 4 else 0
            stacked = tensor.movedim(-3, -1).reshape(-1, tensor.shape[-1], 3).numpy()
            members[f"{name}.{codec}"] = encode(stacked, codec)
    members["json"] = json.dumps(fields, sort_keys=True).encode()
    return members


def sample_of(key: str, members: dict[str, bytes]) -> Sample:
    """The sample of a record's members, by suffix.

    Raises:
        ShardError: if a member is missing, or is not what the record says.
    """
    if "json" not in members:
        raise ShardError(f"record {key} has no .json member")
    try:
        fields = json.loads(members["json"])
        frames = dict(fields.pop("frames"))
        fields["frame_pts"] = tuple(fields["frame_pts"])
        fields["crop"] = tuple(fields["crop"])
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(f"record {key}: its .json is not one of ours: {error!r}") from None
    pictures = {}
    for suffix, data in members.items():
        name, _, codec = suffix.partition(".")
        if codec in CODECS and name in frames:
            pictures[name] = _tensor(key, decode(data, codec), frames[name])
    if missing := frames.keys() - pictures.keys():
        raise ShardError(f"record {key} lacks its {' and '.join(sorted(missing))}")
    return cast(Sample, {**fields, **pictures})


def _tensor(key: str, stacked: np.ndarray[Any, np.dtype[Any]], frames: int) -> Tensor:
    pixels = torch.from_numpy(stacked)
    if not frames:
        return pixels.permute(2, 0, 1)
    if frames < 0 or len(pixels) % frames:
        raise ShardError(f"record {key}: {len(pixels)} rows are not {frames} frames")
    return pixels.view(frames, -1, *pixels.shape[1:]).permute(0, 3, 1, 2)


def records(file: IO[bytes], name: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The records of a tar as (key, members by suffix), in order. Nothing is unpacked to disk.

    Raises:
        ShardError: if the tar is truncated or damaged.
    """
    key, members = "", dict[str, bytes]()
    try:
        with tarfile.open(fileobj=file, mode="r|") as tar:
            for member in tar:
                if not member.isreg():
                    raise ShardError(f"{name}: {member.name!r} is not a plain file")
                stem, _, suffix = member.name.partition(".")
                if stem != key and members:
                    yield key, members
                    members = {}
                key = stem
                content = tar.extractfile(member)
                assert content is not None, "plain files have content"
                members[suffix] = content.read()
    except (tarfile.TarError, EOFError) as error:
        raise ShardError(f"{name}: not a whole tar: {error}; `hdrpatches verify --repair` makes it again") from None
    if members:
        yield key, members


def shards_of(source: str | Path | Iterable[str | Path], category: str | None = None) -> tuple[str, ...]:
    """The tars of an exported folder, a glob, one tar, or a list of these, sorted within each; paths or URLs.

    Raises:
        ShardError: if there are none.
    """
    sources = [source] if isinstance(source, (str, Path)) else list(source)
    found: list[str] = []
    for one in sources:
        path = Path(one)
        if isinstance(one, str) and is_url(one):
            found += _shards_at(one, category)
        elif path.is_dir():
            found += sorted(str(tar) for tar in path.glob(f"{category or '*'}/*.tar")) or sorted(
                str(tar) for tar in path.glob("*.tar")
            )
        elif path.exists():
            found.append(str(path))
        else:
            found += sorted(str(tar) for tar in Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
    if category:
        found = [tar for tar in found if Path(tar).name.startswith(f"{category}-")]
    if not found:
        raise ShardError(
            f"no shards in {', '.join(map(str, sources))}" + (f" of category {category!r}" if category else "")
        )
    return tuple(found)


def _shards_at(url: str, category: str | None) -> list[str]:
    if (matches := expanded(url)) != [url] or url.endswith(".tar"):
        return matches
    folder = Folder.of(url)
    if folder.exists("manifest.json"):  # not every store can list what is in it
        names = [shard["name"] for shard in folder.read_json("manifest.json")["shards"]]
    else:
        names = folder.names(f"{category or '[!.]*'}/*.tar") or folder.names("*.tar")
    return [folder.place(name) for name in names]
