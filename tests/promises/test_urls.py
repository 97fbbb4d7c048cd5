"""Shards and movies behind URLs: the same bytes as on a disk, and no more of them fetched than are needed."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from torch.utils.data import DataLoader

from tests.helpers.samples import signatures
from tests.helpers.servers import Web, s3_server, web_server
from torch_hdrpatches import HDRPatchDataset, Recipe, export, read_shards
from torch_hdrpatches.analysis import contact_sheet, html_report
from torch_hdrpatches.errors import DamagedMovieError, ExportError, MovieOpenError, StorageError
from torch_hdrpatches.probe import known_facts, open_movie
from torch_hdrpatches.storage import remote
from torch_hdrpatches.storage.folder import Folder
from torch_hdrpatches.testing import MovieSpec, write_movie

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


def test_an_export_in_s3_can_be_looked_at(small, exported, bucket, tmp_path):
    export(small, f"{bucket}/out")
    pages = [
        (contact_sheet(out, tmp_path / f"{name}.png"), html_report(out, tmp_path / f"{name}.html"))
        for name, out in (("s3", f"{bucket}/out"), ("disk", exported))
    ]
    (in_s3, page_of_s3), (on_disk, page_of_disk) = pages
    assert in_s3.read_bytes() == on_disk.read_bytes()
    title, other = f"{bucket.removeprefix('s3://')}/out", "/".join(exported.parts[-2:])
    assert page_of_s3.read_text() == page_of_disk.read_text().replace(other, title)


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


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``long.mkv`` and ``long.mp4``: fifteen seconds in 10 MB, a keyframe every second."""
    folder = tmp_path_factory.mktemp("films")
    for suffix in ("mkv", "mp4"):
        write_movie(folder / f"long.{suffix}", MovieSpec(height=240, width=320, frames=360, crf=0.5, codec="libx264"))
    return folder


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_a_window_of_a_movie_on_the_web_costs_a_part_of_it(films, suffix):
    pytest.importorskip("aiohttp")
    name = f"long.{suffix}"
    size = (films / name).stat().st_size
    with web_server(films) as web, open_movie(str(films / name)) as here:
        facts = known_facts(f"{web.url}/{name}")
        assert replace(facts, path=here.path) == here.facts
        before = web.total()
        with open_movie(f"{web.url}/{name}", facts=facts) as there:
            one, other = here.window(8.0), there.window(8.0)
        assert one.pts == other.pts
        assert all((a.y == b.y).all() for a, b in zip(one.frames, other.frames, strict=True))
        assert 0 < web.total() - before < size / 4
        assert max(sent for _, sent in web.sent) < size / 4


def test_a_movie_that_is_not_given_in_ranges_is_refused_before_it_is_sent(films):
    pytest.importorskip("aiohttp")
    with web_server(films, ranges=False) as web, pytest.raises(MovieOpenError, match=r"ranges.*copy it to a disk"):
        open_movie(f"{web.url}/long.mkv")
    with web_server(films) as web, pytest.raises(MovieOpenError, match="cannot be opened"):
        open_movie(f"{web.url}/short.mkv")


def test_a_server_that_fails_now_and_then_is_asked_again_and_one_that_fails_for_good_is_no_bad_movie(
    films, monkeypatch
):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    with web_server(films, fails=lambda number: number % 3) as web, open_movie(f"{web.url}/long.mkv") as movie:
        assert len(movie.window(8.0).pts) == 7
    broken: list[bool] = []
    with web_server(films, fails=lambda number: broken) as web, open_movie(f"{web.url}/long.mkv") as movie:
        broken.append(True)
        with pytest.raises(StorageError, match=r"long\.mkv.*run the same command again"):
            [movie.window(float(second)) for second in range(15)]


def test_a_web_server_that_is_down_for_a_while_has_lost_no_file(exported, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    left = itertools.repeat(False)
    with web_server(exported, down=lambda: next(left)) as web:
        folder = Folder.of(web.url)
        for outage in (0, 2, 4):  # a question is a HEAD, and a GET if that fails
            left = itertools.chain([True] * outage, itertools.repeat(False))
            assert folder.exists("manifest.json")
        assert not folder.exists("other.json")
        left = itertools.repeat(True)
        with pytest.raises(StorageError, match=r"manifest\.json"):
            folder.exists("manifest.json")


def test_a_playlist_on_the_web_opens_nothing(films, tmp_path):
    pytest.importorskip("aiohttp")
    (tmp_path / "list.mkv").write_text(f"ffconcat version 1.0\nfile {films}/long.mkv\n")
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:15\n{films}/long.mp4\n#EXT-X-ENDLIST\n")
    with web_server(tmp_path) as web:
        for name in ("list.mkv", "list.m3u8"):
            with pytest.raises(DamagedMovieError):
                open_movie(f"{web.url}/{name}")


def test_movies_in_s3_give_the_samples_of_those_on_disk(small, small_movies, bucket, tmp_path):
    for path in small_movies.glob("*.mkv"):
        fsspec.filesystem("s3").put_file(str(path), f"{bucket}/movies/{path.name}")
    here = signatures(HDRPatchDataset(small))
    there = copy.deepcopy(small)
    for movie in there["movies"]:
        movie["path"] = f"{bucket}/movies/{Path(movie['path']).name}"
    assert signatures(HDRPatchDataset(there)) == here
    everything = {"path": f"{bucket}/movies/*.mkv", "categories": ["one", "two"]}
    names = [movie.name for movie in Recipe.from_dict(small | {"movies": [everything]}).resolved().movies]
    assert names == ["1", "2"]
    export(there, f"{bucket}/out", limit=3)
    fsspec.filesystem("s3").put_file(str(small_movies / "1.mkv"), f"{bucket}/movies/2.mkv")
    with pytest.raises(ExportError, match=r"movies\.second\.file"):
        export(there, f"{bucket}/out", limit=3)
