"""Cost of writing and reading images with each codec, and of reading whole shards back."""

import io
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import webdataset
from PIL import Image
from torch import Tensor

from benchmarks.speed.films import FILMS, WORK, made
from benchmarks.speed.timing import interleaved
from benchmarks.speed.workload import outcomes, recipe
from torch_hdrpatches import read_shards
from torch_hdrpatches.sampling import PatchStream, Sample
from torch_hdrpatches.shards.codecs import CODECS
from torch_hdrpatches.shards.record import ShardWriter, members_of

Row = dict[str, Any]
Image8 = np.ndarray[Any, np.dtype[Any]]


def tables(quick: bool) -> Iterator[tuple[str, list[Row]]]:
    """All tables of this module, by name."""
    film, rounds = (FILMS["720p"], 1) if quick else (FILMS["1080p"], 5)
    stream = PatchStream(recipe([str(made(film))], film.slots))
    samples = [sample for outcome in outcomes(stream) for sample in outcome.samples]
    yield "codecs", codecs(samples[:8], rounds)
    yield "reading", reading(samples, rounds)


def codecs(samples: list[Sample], rounds: int) -> list[Row]:
    """Milliseconds and kB per image, for ground truths of 540x540 and their seven low-quality frames stacked."""
    coders: dict[str, tuple[Callable[[Image8], bytes], Callable[[bytes], Image8]]] = {
        name: (codec.encode, codec.decode) for name, codec in CODECS.items()
    }
    coders |= {f"png by Pillow, level {level}": (partial(_pillow_png, level=level), _pillow_read) for level in (1, 6)}
    kinds = {kind: [_stacked(sample, kind) for sample in samples] for kind in ("gt", "lq")}
    sizes: dict[tuple[str, str], float] = {}
    steps: dict[tuple[str, str, str], Callable[[], Any]] = {}
    for name, (encode, decode) in coders.items():
        for kind, images in kinds.items():
            files = _each(encode, images)
            if not all(map(np.array_equal, images, _each(decode, files))):
                raise ValueError(f"{name} is not lossless")
            sizes[name, kind] = sum(map(len, files)) / len(files) / 1000
            steps[name, kind, "encode"] = partial(_each, encode, images)
            steps[name, kind, "decode"] = partial(_each, decode, files)
    milliseconds = {step: 1000 * median(times) / len(samples) for step, times in interleaved(steps, rounds).items()}
    return [
        {
            "codec": name,
            **{f"{kind}_{step}_ms": milliseconds[name, kind, step] for kind in kinds for step in ("encode", "decode")},
            **{f"{kind}_kb": sizes[name, kind] for kind in kinds},
        }
        for name in coders
    ]


def reading(samples: list[Sample], rounds: int) -> list[Row]:
    """Samples per second of one core: each codec through ``read_shards``, and stock webdataset with Pillow."""
    torch.set_num_threads(1)
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
        with webdataset.TarWriter(f"{folder}/pillow.tar") as stock_writer:  # PNGs as Pillow writes them by default
            for sample in samples:
                images = {f"{kind}.png": _pillow_png(_stacked(sample, kind)) for kind in ("gt", "lq")}
                stock_writer.write({"__key__": sample["key"], "json": members_of(sample, "npy")["json"], **images})
        readers["webdataset, our png"] = partial(_read_stock, f"{folder}/png.tar")
        readers["webdataset, png by Pillow"] = partial(_read_stock, f"{folder}/pillow.tar")
        for name, read in readers.items():
            if (count := read()) != len(samples):
                raise ValueError(f"{name} gave {count} of {len(samples)} samples")
        seconds = interleaved(readers, rounds)
    base = seconds["webdataset, our png"]
    return [
        {
            "reader": name,
            "samples_per_second": len(samples) / median(times),
            "ratio": median(theirs / mine for mine, theirs in zip(times, base, strict=True)),
        }
        for name, times in seconds.items()
    ]


def _each(coder: Callable[[Any], Any], inputs: list[Any]) -> list[Any]:
    return [coder(value) for value in inputs]


def _stacked(sample: Sample, kind: str) -> Image8:
    """One image of all frames of ``gt`` or ``lq``, one below the other."""
    frames: Tensor = sample[kind]  # type: ignore[literal-required]
    return np.ascontiguousarray(frames.movedim(-3, -1).reshape(-1, frames.shape[-1], 3))


def _pillow_png(image: Image8, level: int = 6) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG", compress_level=level)
    return stream.getvalue()


def _pillow_read(data: bytes) -> Image8:
    return np.array(Image.open(io.BytesIO(data)))


def _read_stock(tar: str) -> int:
    """A webdataset pipeline as in its documentation, up to tensors of the same shapes; the number of samples."""
    count = 0
    for sample in webdataset.WebDataset(tar, shardshuffle=False).decode("torchrgb8"):
        lq = sample["lq.png"].unflatten(1, (7, -1)).permute(1, 0, 2, 3)
        count += lq.shape[0] == 7 and sample["gt.png"].shape[0] == 3
    return count
