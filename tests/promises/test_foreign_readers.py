"""Programs without this package read an exported folder: the same images and metadata."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.samples import signatures
from torch_hdrpatches import export, read_shards
from torch_hdrpatches.sampling import Sample
from torch_hdrpatches.shards import decode

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # these readers leave files open
    pytest.mark.filterwarnings("ignore:String specifications for transformations:UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def exported(three_written: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("foreign") / "out"
    export(three_written, out)
    return out


@pytest.fixture(scope="module")
def ours(exported: Path) -> dict[str, Sample]:
    """The samples of category ``two``, by key, in the order of the shards."""
    return {sample["key"]: sample for sample in read_shards(exported, category="two", seed=None)}


def check(key: str, gt: Any, lq: Any, fields: dict[str, Any], sample: Sample) -> None:
    """Compare images, given as arrays or by Pillow, and metadata with a sample of ours."""
    assert key == sample["key"] == fields["key"]
    assert np.array_equal(np.asarray(gt), sample["gt"].permute(1, 2, 0).numpy())
    assert np.array_equal(np.asarray(lq), sample["lq"].permute(0, 2, 3, 1).flatten(0, 1).numpy())
    assert (fields["movie"], fields["format"], fields["slot"]) == (sample["movie"], sample["format"], sample["slot"])


def test_webdataset_reads_it(exported, ours):
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(map(str, exported.glob("two/*.tar")))
    read = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).decode("rgb8"))
    gc.collect()
    assert [one["__key__"] for one in read] == list(ours)
    for one in read:
        check(one["__key__"], one["gt.png"], one["lq.png"], one["json"], ours[one["__key__"]])


def test_webdataset_with_our_decoder_gives_the_samples_of_read_shards(exported, ours):
    webdataset = pytest.importorskip("webdataset")
    shards = sorted(map(str, exported.glob("two/*.tar")))
    read = list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False).map(decode))
    gc.collect()
    assert signatures(read) == signatures(ours.values())
    for sample, wanted in zip(read, ours.values(), strict=True):
        assert list(sample) == list(wanted)
        for name in wanted.keys() - {"gt", "lq"}:
            assert (type(sample[name]), sample[name]) == (type(wanted[name]), wanted[name])


def test_webdataset_streams_it_through_a_shell_pipe(exported, ours):
    webdataset = pytest.importorskip("webdataset")
    shards = [f"pipe:cat {path}" for path in sorted(exported.glob("two/*.tar"))]
    read = webdataset.WebDataset(shards, shardshuffle=False, empty_check=False)
    assert [one["__key__"] for one in read] == list(ours)


def test_wids_reads_it_by_index(exported, ours, tmp_path):
    wids = pytest.importorskip("wids")
    dataset = wids.ShardListDataset(str(exported / "two" / "wids.json"), cache_dir=str(tmp_path), keep=True)
    assert len(dataset) == len(ours)
    for number in (len(ours) - 1, 0, len(ours) // 2):
        one, sample = dataset[number], list(ours.values())[number]
        check(one["__key__"], one[".gt.png"], one[".lq.png"], one[".json"], sample)


@pytest.mark.parametrize("streaming", [True, False])
def test_hugging_face_datasets_loads_a_category_by_its_name(exported, ours, tmp_path, monkeypatch, streaming):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    assert set(datasets.get_dataset_config_names(str(exported))) == {"one", "two", "three"}
    read = list(
        datasets.load_dataset(
            str(exported), name="two", split="train", streaming=streaming, cache_dir=str(tmp_path / "cache")
        )
    )
    assert [one["__key__"] for one in read] == list(ours)
    for one in read:
        check(one["__key__"], one["gt.png"], one["lq.png"], one["json"], ours[one["__key__"]])


def test_tar_and_pillow_are_enough(exported, ours):
    """Not even torch is needed."""
    program = """
import io, json, sys, tarfile
from PIL import Image
with tarfile.open(sys.argv[1]) as tar:
    for member in tar:
        data = tar.extractfile(member).read()
        if member.name.endswith(".json"):
            print(member.name, json.loads(data)["slot"])
        else:
            print(member.name, *Image.open(io.BytesIO(data)).size)
"""
    shard = min(exported.glob("two/*.tar"))
    said = subprocess.run([sys.executable, "-c", program, str(shard)], capture_output=True, text=True, check=True)
    lines = said.stdout.splitlines()
    keys = [line.split(".")[0] for line in lines if ".json" in line]
    assert keys == list(ours)[: len(keys)]
    for key in keys:
        height, width = ours[key]["gt"].shape[1:]
        assert f"{key}.gt.png {width} {height}" in lines
        assert f"{key}.json {ours[key]['slot']}" in lines
