"""Shards and movies behind URLs: the same bytes as on a disk, and no more of them fetched than are needed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from samples import signatures
from servers import Web, s3_server, web_server
from torch.utils.data import DataLoader

from torch_hdrpatches.export import export
from torch_hdrpatches.reading import read_shards
from torch_hdrpatches.storage import Folder

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    with s3_server() as address:
        yield address


@pytest.fixture
def bucket(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, for which the environment holds address and credentials."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_address,
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    url = f"s3://bucket{next(NUMBERS)}"
    fsspec.filesystem("s3").mkdir(url)
    return url


@pytest.fixture
def exported(small: dict[str, Any], tmp_path: Path) -> Path:
    export(small, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def web(exported: Path) -> Iterator[Web]:
    pytest.importorskip("aiohttp")
    with web_server(exported) as server:
        yield server


def contents(location: str | Path) -> dict[str, bytes]:
    """Every file's bytes; of the manifest, all but its time."""
    folder = Folder.of(location)
    found = {}
    for name in [*folder.names("*"), *folder.names("*/*")]:
        with folder.open(name) as file:
            found[name] = file.read()
    manifest = json.loads(found["manifest.json"])
    assert manifest.pop("created")
    return found | {"manifest.json": json.dumps(manifest).encode()}


def test_shards_on_the_web_are_those_on_disk(exported, web):
    here = signatures(read_shards(exported))
    assert signatures(read_shards(web.url)) == here
    assert signatures(
        read_shards([f"{web.url}/one/{path.name}" for path in sorted(exported.glob("one/*.tar"))])
    ) == signatures(read_shards(exported, category="one"))
    loader = DataLoader(read_shards(web.url), batch_size=None, num_workers=2, multiprocessing_context="fork")
    assert sorted(signatures(loader)) == sorted(here)


def test_chosen_records_on_the_web_cost_what_their_metadata_weigh(exported, web):
    everything = sum(path.stat().st_size for path in exported.glob("*/*.tar"))
    chosen = read_shards(web.url, where=lambda fields: fields["slot"] == 3)
    assert 0 < web.total() < everything / 2
    assert signatures(chosen) == signatures(read_shards(exported, where=lambda fields: fields["slot"] == 3))


def test_an_export_into_s3_has_the_bytes_of_the_one_on_disk(small, exported, bucket):
    tally = export(small, f"{bucket}/deep/out")
    assert contents(f"{bucket}/deep/out") == contents(exported)
    assert not Folder.of(bucket).names("deep/out/.work/*")
    assert signatures(read_shards(f"{bucket}/deep/out")) == signatures(read_shards(exported))
    assert signatures(read_shards(f"{bucket}/deep/out/one/*.tar")) == signatures(read_shards(exported, category="one"))
    assert export(small, f"{bucket}/deep/out") == tally


def test_processes_share_a_bucket_and_a_broken_export_goes_on(small, exported, bucket):
    class Break(Exception):  # noqa: N818
        pass

    def stop(tally: object) -> None:
        raise Break

    with pytest.raises(Break):
        export(small, bucket, progress=stop)
    assert not Folder.of(bucket).exists("manifest.json")
    export(small, bucket, workers=2)
    assert contents(bucket) == contents(exported)
