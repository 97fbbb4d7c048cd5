"""Records keep every bit, golden shards stay readable, and damaged or hostile shards are refused."""

from __future__ import annotations

import gc
import io
import json
import tarfile
from pathlib import Path

import pytest
import torch
import webdataset
from torch.utils.data import DataLoader

from tests.helpers.samples import digest
from torch_hdrpatches import read_shards
from torch_hdrpatches.errors import ShardError
from torch_hdrpatches.sampling import Sample
from torch_hdrpatches.shards import decode
from torch_hdrpatches.shards.browse import shards_of
from torch_hdrpatches.shards.record import ShardWriter, members_of, records, sample_of

GOLDEN = Path(__file__).parents[2] / "shards" / "golden" / "v1"

GOLDEN_IMAGES = {
    "golden-golden-0-000000": ("93c56ba3eb900600", "7dd490bbe14c0b18", "5200c586638c4c01", "b3135dc1fd85bb74"),
    "golden-golden-0-000001": ("fc67c5a16b6c15f3", "77edafd9fa2378ab", "e14daa5fccdae039", "21ad1c60e669b83e"),
}


@pytest.mark.parametrize("output", ["sdr", "both"])
def test_format_version_1_stays_readable(output):
    names = ("gt", "lq", "gt_hdr", "lq_hdr")[: 2 if output == "sdr" else 4]
    read = {sample["key"]: sample for sample in read_shards(GOLDEN / output)}
    assert {key: tuple(digest(sample[name]) for name in names) for key, sample in read.items()} == {
        key: images[: len(names)] for key, images in GOLDEN_IMAGES.items()
    }
    for sample in read.values():
        assert (sample["category"], sample["format"], sample["movie"]) == ("golden", "tiny", "golden")
        assert tuple(sample["gt"].shape) == (3, 48, 60)
        assert tuple(sample["lq"].shape) == (7, 3, 16, 20)


def assert_equal(sample, wanted):
    """Equal keys in the same order, equal values of the same types."""
    assert list(sample) == list(wanted)
    for name, value in wanted.items():
        assert type(sample[name]) is type(value)
        if isinstance(value, torch.Tensor):
            assert sample[name].dtype == value.dtype
            assert torch.equal(sample[name], value)
        else:
            assert sample[name] == value


def golden():
    return list(read_shards(GOLDEN / "both", seed=None))


@pytest.mark.parametrize("codec", ["png", "jxl", "npy"])
def test_a_record_keeps_every_bit(codec):
    for sample in golden():
        assert_equal(sample_of(sample["key"], members_of(sample, codec)), sample)


@pytest.mark.parametrize("codec", ["png", "npy"])
def test_a_sample_read_back_has_its_keys_in_order_and_contiguous_tensors(codec):
    for sample in golden():
        fields = dict(reversed(sample.items())) | {"added_by_a_transform": 1}
        again = sample_of(sample["key"], members_of(fields, codec))
        assert list(again) == [*Sample.__annotations__, "added_by_a_transform"]
        assert all(tensor.is_contiguous() for tensor in list(again.values())[:4])


def test_equal_samples_make_equal_bytes():
    def written() -> bytes:
        file = io.BytesIO()
        writer = ShardWriter(file)
        for sample in golden():
            writer.write(sample)
        writer.close()
        return file.getvalue()

    assert written() == written() == next((GOLDEN / "both").glob("*/*.tar")).read_bytes()


def raw(shard: Path) -> list[dict[str, bytes]]:
    """The records of a shard as stock webdataset reads them."""
    read = webdataset.WebDataset(str(shard), shardshuffle=False, empty_check=False)
    found = list(read)
    gc.collect()
    return found


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # webdataset leaves files open
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("output", ["sdr", "both"])
def test_webdataset_with_our_decoder_gives_the_samples_of_read_shards(output):
    ours = read_shards(GOLDEN / output, seed=None)
    (shard,) = ours.shards
    for decoded, sample in zip(map(decode, raw(Path(shard))), ours, strict=True):
        assert_equal(decoded, sample)


def test_staged_shards_of_an_unfinished_export_are_not_read(tmp_path):
    for name in (".work/one-000001.tar", "one/one-000000.tar"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    assert shards_of(tmp_path) == shards_of(tmp_path.as_uri()) == (str(tmp_path / "one" / "one-000000.tar"),)


def test_workers_read_every_record_once():
    keys = [sample["key"] for sample in DataLoader(read_shards([GOLDEN / "sdr", GOLDEN / "both"]), None, num_workers=2)]
    assert sorted(keys) == sorted([*GOLDEN_IMAGES] * 2)


def test_shards_are_found_in_folders_globs_and_lists(tmp_path, monkeypatch):
    tar = GOLDEN / "sdr" / "golden" / "golden-000000.tar"
    monkeypatch.chdir(GOLDEN)
    assert shards_of(GOLDEN / "sdr") == shards_of(tar) == shards_of([tar]) == (str(tar),)
    assert shards_of("sdr/*/*.tar") == ("sdr/golden/golden-000000.tar",)
    assert shards_of(GOLDEN / "sdr", "golden") == (str(tar),)
    with pytest.raises(ShardError, match="'space'"):
        shards_of(GOLDEN / "sdr", "space")


def tar_of(members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> io.BytesIO:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, "/etc/passwd"
            tar.addfile(member, io.BytesIO(data))
    file.seek(0)
    return file


def test_a_link_in_a_shard_is_refused():
    with pytest.raises(ShardError, match="not a plain file"):
        list(records(tar_of({"a.json": b""}, tarfile.SYMTYPE), "evil.tar"))


def test_a_name_in_a_shard_is_never_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (evil := tmp_path / "evil.tar").write_bytes(tar_of({"../../x.json": b"{}", "/etc/y.gt.png": b""}).getvalue())
    with pytest.raises(ShardError):
        list(read_shards(evil))
    assert list(tmp_path.iterdir()) == [evil]


def changed(**fields: object) -> dict[str, bytes]:
    members = members_of(golden()[0])
    return members | {"json": json.dumps(json.loads(members["json"]) | fields).encode()}


@pytest.mark.parametrize(
    "members",
    [
        {"gt.png": b""},
        {**members_of(golden()[0]), "json": b"not json"},
        {**members_of(golden()[0]), "json": b"[]"},
        {"json": members_of(golden()[0])["json"]},
        {**members_of(golden()[0]), "gt.png": b"\x89PNG\r\n\x1a\n"},
        changed(frames={"gt": 0, "lq": 5, "gt_hdr": 0, "lq_hdr": 7}),
        changed(frames=None),
        changed(crop=None),
    ],
)
def test_an_invalid_record_is_refused(members):
    with pytest.raises(ShardError):
        sample_of("key", members)
