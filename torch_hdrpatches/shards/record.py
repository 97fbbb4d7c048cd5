"""Samples as records of WebDataset tar shards, and back."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, Any, TypedDict, cast

import numpy as np
import torch
from torch import Tensor

from ..errors import ShardError
from ..sampling.sample import Sample, SampleDict
from .codecs import CODECS, decode_image, encode_image
from .index import walk

IMAGE_KEYS = ("gt", "lq", "gt_hdr", "lq_hdr")
"""Keys of a sample that are stored as images."""


class Contents(TypedDict):
    """What a shard contains, as written into its sidecar."""

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
    """``KEY BYTES BYTES ...``, the sizes of the members: records are found by these without reading the tar."""


class HashingFile:
    """Hashes all bytes that pass through a file, so that no shard is read twice."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}  # wids wants md5
        self._size = 0

    def read(self, size: int = -1) -> bytes:
        """As of any file."""
        return self._hashed(self._file.read(size))

    def write(self, data: bytes) -> int:
        """As of any file, but ignored once the file is closed."""
        if not self._file.closed:  # tarfile flushes once more when it is collected, after an error too
            self._file.write(self._hashed(data))
        return len(data)

    def sums(self) -> dict[str, Any]:
        """``bytes``, ``sha256`` and ``md5`` of what has passed."""
        return {"bytes": self._size, **{name: digest.hexdigest() for name, digest in self._digests.items()}}

    def _hashed(self, data: bytes) -> bytes:
        for digest in self._digests.values():
            digest.update(data)
        self._size += len(data)
        return data


class ShardWriter:
    """Writes records into one tar, whose bytes depend on the samples only."""

    def __init__(self, file: IO[bytes], codec: str = "png") -> None:
        from webdataset import TarWriter  # takes 0.3 s to import, and training does not need it

        self._hashing = HashingFile(file)
        # Nothing of this machine gets in: time 0, owner 0 without a name.
        self._tar = TarWriter(self._hashing, user="", group="", mode=0o644, mtime=0, encoder=False)
        self._codec = codec
        self._suffixes: list[str] = []
        self._records: list[str] = []
        self._counts: Counter[tuple[str, str]] = Counter()

    def write(self, sample: Sample) -> None:
        """Append a sample: ``KEY.gt.png``, ``KEY.lq.png`` (frames stacked top to bottom), ``KEY.json``."""
        self.write_record(sample["key"], members_of(sample, self._codec), sample["format"], sample["movie"])

    def write_record(self, key: str, members: Mapping[str, bytes], format: str, movie: str) -> None:
        """Append a record that is encoded already."""
        if self._records and list(members) != self._suffixes:
            raise ShardError(
                f"record {key} has the members {', '.join(members)}, those before it {', '.join(self._suffixes)}"
            )
        for suffix, data in members.items():  # one by one, because TarWriter sorts the members of a call
            self._tar.write({"__key__": key, suffix: data})
        self._suffixes = list(members)
        self._records.append(listing_of(key, members))
        self._counts[format, movie] += 1

    def close(self) -> Contents:
        """Finish the tar and describe it."""
        self._tar.close()
        contents = {
            **self._hashing.sums(),
            "samples": len(self._records),
            "counts": counts_of(self._counts),
            "first_key": self._records[0].partition(" ")[0],
            "last_key": self._records[-1].partition(" ")[0],
            "suffixes": self._suffixes,
            "records": self._records,
        }
        return cast(Contents, contents)


def counts_of(counts: Counter[tuple[str, str]]) -> list[list[str | int]]:
    """Samples by (format, movie) as a sidecar lists them."""
    return [[*names, count] for names, count in sorted(counts.items())]


def listing_of(key: str, members: Mapping[str, bytes]) -> str:
    """The line of a record in its sidecar."""
    return " ".join([key, *(str(len(data)) for data in members.values())])


def members_of(sample: Sample, codec: str = "png") -> dict[str, bytes]:
    """The members of a sample's record by suffix, in their order in the tar."""
    fields: dict[str, Any] = {name: value for name, value in sample.items() if name not in IMAGE_KEYS}
    fields["frames"] = {}
    members = {}
    for name in IMAGE_KEYS:
        if name in sample:
            tensor: Tensor = sample[name]  # type: ignore[literal-required]
            fields["frames"][name] = tensor.shape[0] if tensor.ndim == 4 else 0
            stacked = tensor.movedim(-3, -1).reshape(-1, tensor.shape[-1], 3).numpy()
            members[f"{name}.{codec}"] = encode_image(stacked, codec)
    members["json"] = json.dumps(fields, sort_keys=True).encode()
    return members


def sample_of(key: str, members: Mapping[str, bytes]) -> Sample:
    """The sample of a record, given its members by suffix.

    Raises ShardError if a member is missing, damaged or contradicts the ``.json``.
    """
    if "json" not in members:
        raise ShardError(f"record {key} has no .json member")
    try:
        fields = json.loads(members["json"])
        frames = dict(fields.pop("frames"))
        fields["frame_pts"] = tuple(fields["frame_pts"])
        fields["crop"] = tuple(fields["crop"])
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(f"record {key}: its .json was not written by this package: {error!r}") from None
    images = {}
    for suffix, data in members.items():
        name, _, codec = suffix.partition(".")
        if codec in CODECS and name in frames:
            images[name] = _tensor(key, decode_image(data, codec), frames[name])
    if missing := frames.keys() - images.keys():
        raise ShardError(f"record {key} has no {' and '.join(sorted(missing))} as {', '.join(CODECS)}")
    return cast(Sample, SampleDict(fields, **images))


def decode(raw: Mapping[str, Any]) -> Sample:
    """The sample of a record as webdataset reads it, for pipelines of webdataset.

    ``wds.WebDataset(urls, shardshuffle=100).map(torch_hdrpatches.shards.decode)`` gives the samples of ``read_shards``.

    Raises:
        ShardError: if a member is missing, damaged or contradicts the ``.json``.
    """
    return sample_of(raw["__key__"], {suffix: data for suffix, data in raw.items() if not suffix.startswith("__")})


def _tensor(key: str, stacked: np.ndarray[Any, np.dtype[Any]], frames: int) -> Tensor:
    pixels = torch.from_numpy(stacked)
    if not frames:
        return pixels.permute(2, 0, 1)
    if frames < 0 or len(pixels) % frames:
        raise ShardError(f"record {key}: {len(pixels)} rows cannot be split into {frames} frames")
    return pixels.view(frames, -1, *pixels.shape[1:]).permute(0, 3, 1, 2)


def records(file: IO[bytes], name: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The records of a tar as key and members by suffix, in order. Raises as ``walk``."""
    return walk(file, name, "r|", lambda tar, member: cast(IO[bytes], tar.extractfile(member)).read())
