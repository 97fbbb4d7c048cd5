"""Cost of writing and reading images with each codec, and of reading whole shards back."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import webdataset
from PIL import Image

from benchmarks.speed.films import FILMS, WORK, made
from benchmarks.speed.workload import recipe
from torch_hdrpatches import read_shards
from torch_hdrpatches.sampling import PatchStream, Sample
from torch_hdrpatches.shards.codecs import CODECS
from torch_hdrpatches.shards.record import ShardWriter, members_of

Row = dict[str, Any]
Image8 = np.ndarray[Any, np.dtype[Any]]


def codecs(film: str, rounds: int) -> list[Row]:
    """Milliseconds and kB per image, for ground truths of 540x540 and their seven low-quality frames stacked."""
    samples = _samples(film)[:8]
    kinds = {
        name: [
            np.ascontiguousarray(sample[name].movedim(-3, -1).reshape(-1, sample[name].shape[-1], 3))
            for sample in samples
        ]
        for name in ("gt", "lq")
    }
    coders: dict[str, tuple[Callable[[Image8], bytes], Callable[[bytes], Image8]]] = {
        name: (codec.encode, codec.decode) for name, codec in CODECS.items()
    }
    coders |= {f"png by Pillow, level {level}": (_pillow_png(level), _pillow_read) for level in (1, 6)}
    times: dict[tuple[str, str, str], list[float]] = {}
    sizes: dict[tuple[str, str], float] = {}
    for encode, decode in coders.values():
        decode(encode(kinds["lq"][0]))  # compiles kernels
    for _ in range(rounds):
        for name, (encode, decode) in coders.items():
            for kind, images in kinds.items():
                files, seconds = _timed(encode, images)
                times.setdefault((name, kind, "encode"), []).append(seconds)
                back, seconds = _timed(decode, files)
                times.setdefault((name, kind, "decode"), []).append(seconds)
                if not all(np.array_equal(image, copy) for image, copy in zip(images, back, strict=True)):
                    raise ValueError(f"{name} is not lossless")
                sizes[name, kind] = sum(map(len, files)) / len(files) / 1000
    return [
        {
            "codec": name,
            **{
                f"{kind}_{step}_ms": 1000 * median(times[name, kind, step])
                for kind in kinds
                for step in ("encode", "decode")
            },
            **{f"{kind}_kb": sizes[name, kind] for kind in kinds},
        }
        for name in coders
    ]


def reading(film: str, rounds: int) -> list[Row]:
    """Samples per second of one core: each codec through ``read_shards``, and stock webdataset with Pillow."""
    torch.set_num_threads(1)
    samples = _samples(film)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        readers: dict[str, Callable[[], int]] = {}
        for codec in CODECS:
            tar = Path(folder) / f"{codec}.tar"
            with tar.open("wb") as file:
                writer = ShardWriter(file, codec)
                for sample in samples:
                    writer.write(sample)
                writer.close()
            readers[f"read_shards, {codec}"] = lambda tar=tar: sum(1 for _ in read_shards(tar))  # type: ignore[misc]
        by_pillow = Path(folder) / "pillow.tar"
        _write_with_pillow(by_pillow, samples)
        readers["webdataset, our png"] = lambda: _read_stock(Path(folder) / "png.tar")
        readers["webdataset, png by Pillow"] = lambda: _read_stock(by_pillow)
        for read in readers.values():
            read()  # compiles kernels
        rates: dict[str, list[float]] = {name: [] for name in readers}
        for _ in range(rounds):
            for name, read in readers.items():
                begin = time.perf_counter()
                count = read()
                rates[name].append(count / (time.perf_counter() - begin))
                assert count == len(samples), f"{name} gave {count} of {len(samples)} samples"
    base = rates["webdataset, our png"]
    return [
        {
            "reader": name,
            "samples_per_second": median(rate),
            "ratio": median(mine / theirs for mine, theirs in zip(rate, base, strict=True)),
        }
        for name, rate in rates.items()
    ]


def _samples(film: str) -> list[Sample]:
    stream = PatchStream(recipe([str(made(FILMS[film]))], FILMS[film].slots))
    return [sample for run in stream.plan.runs for outcome in stream.run(0, run) for sample in outcome.samples]


def _timed(function: Callable[[Any], Any], inputs: list[Any]) -> tuple[list[Any], float]:
    begin = time.perf_counter()
    results = [function(value) for value in inputs]
    return results, (time.perf_counter() - begin) / len(inputs)


def _pillow_png(level: int) -> Callable[[Image8], bytes]:
    def encode(image: Image8) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "PNG", compress_level=level)
        return stream.getvalue()

    return encode


def _pillow_read(data: bytes) -> Image8:
    return np.array(Image.open(io.BytesIO(data)))


def _write_with_pillow(tar: Path, samples: list[Sample]) -> None:
    """Write the same records, with PNGs as Pillow writes them by default."""
    encode = _pillow_png(6)
    with webdataset.TarWriter(str(tar)) as writer:
        for sample in samples:
            members: dict[str, Any] = {"__key__": sample["key"], "json": members_of(sample, "npy")["json"]}
            for name in ("gt", "lq"):
                image = sample[name].movedim(-3, -1).reshape(-1, sample[name].shape[-1], 3)
                members[f"{name}.png"] = encode(image.numpy())
            writer.write(members)


def _read_stock(tar: Path) -> int:
    """A webdataset pipeline as in its documentation, up to tensors of the same shapes."""
    count = 0
    for sample in webdataset.WebDataset(str(tar), shardshuffle=False).decode("torchrgb8"):
        lq = sample["lq.png"].unflatten(1, (7, -1)).permute(1, 0, 2, 3)
        count += lq.shape[0] == 7 and sample["gt.png"].shape[0] == 3
    return count


def tables(quick: bool) -> Iterator[tuple[str, list[Row]]]:
    """All tables of this module, by name."""
    film, rounds = ("720p", 1) if quick else ("1080p", 5)
    yield "codecs", codecs(film, rounds)
    yield "reading", reading(film, rounds)
