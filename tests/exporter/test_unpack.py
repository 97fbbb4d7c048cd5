"""Unpacked shards are read by BasicSR's own datasets, pixel for pixel, and unpacking survives interruptions."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from torch_hdrpatches import export, read_shards
from torch_hdrpatches.errors import ExportError, MissingExtraError, NoSamplesError, RecipeError, ShardError
from torch_hdrpatches.exporter import processes, unpack
from torch_hdrpatches.loading.adapters import unit

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::SyntaxWarning")


def one_format(recipe: dict[str, Any]) -> dict[str, Any]:
    recipe["formats"] = {"a": {"gt": [48, 48], "scale": 4}, "b": {"gt": [36, 60]}}
    recipe["categories"] = {"one": {"formats": {"a": 1.0}}, "two": {"formats": {"a": 0.5, "b": 0.5}, "target": 20}}
    recipe["movies"][2]["categories"] = ["one"]
    recipe["movies"][0]["name"] = "the_first"
    return recipe


@pytest.fixture(scope="module")
def shards(three_written: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exports with sequences, with centre frames and of 16 bits; category ``one`` has one format of scale 4."""
    folder = tmp_path_factory.mktemp("exports")
    recipe = one_format(json.loads(json.dumps(three_written)))
    export(recipe, folder / "sequence", gt="sequence", limit=40)
    export(recipe, folder / "centre", limit=20)
    export(recipe, folder / "hdr", output="hdr", limit=2)
    return {path.name: path for path in folder.iterdir()}


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def dataset_of(kind: str, folder: Path, *, lmdb: bool = False, **options: Any) -> Any:
    """One of BasicSR's datasets over an unpacked folder, without augmentation."""
    from basicsr.data import build_dataset

    suffix = ".lmdb" if lmdb else ""
    known = {
        **{"name": "train", "type": kind, "phase": "train", "scale": 4, "gt_size": 48, "num_frame": 7},
        **{"use_hflip": False, "use_rot": False, "random_reverse": False, "flip_sequence": False},
        **{"dataroot_gt": str(folder / f"gt{suffix}"), "dataroot_lq": str(folder / f"lq{suffix}")},
        **{"meta_info_file": str(folder / "meta_info.txt"), "io_backend": {"type": "lmdb" if lmdb else "disk"}},
        **{"val_partition": "REDS4", "test_mode": False, "interval_list": [1]},
    }
    return build_dataset(known | options)


def samples_of(shards: Path) -> dict[str, Any]:
    return {sample["key"]: sample for sample in read_shards(shards, category="one")}


@pytest.mark.parametrize("lmdb", [False, True], ids=["png", "lmdb"])
@pytest.mark.parametrize(
    ("kind", "layout", "export_of"),
    [
        ("Vimeo90KRecurrentDataset", "vimeo90k", "sequence"),
        ("Vimeo90KDataset", "vimeo90k", "sequence"),
        ("Vimeo90KDataset", "vimeo90k", "centre"),
        ("REDSRecurrentDataset", "reds", "sequence"),
        ("PairedImageDataset", "paired", "sequence"),
        ("PairedImageDataset", "paired", "centre"),
    ],
)
def test_basicsrs_own_dataset_reads_the_pixels_of_the_shards(
    basicsr_path, shards, tmp_path, kind, layout, export_of, lmdb
):
    made = unpack(shards[export_of], tmp_path / "out", layout, category="one", lmdb=lmdb)
    wanted, read = samples_of(shards[export_of]), dataset_of(kind, tmp_path / "out", lmdb=lmdb)
    assert len(read) == len(wanted) == made.samples
    assert (made.scale, made.largest_crop) == (4, 48)
    for number in range(len(read)):
        item = read[number]
        name = item.get("key", item.get("gt_path", ""))
        key = next(part for part in reversed(name.removesuffix(".png").split("/")) if part in wanted)
        sample = wanted.pop(key)
        gt, lq = unit(sample["gt"]), unit(sample["lq"])
        centre_gt = gt[3] if gt.ndim == 4 else gt
        assert torch.equal(item["gt"], gt if "Recurrent" in kind else centre_gt)
        assert torch.equal(item["lq"], lq[3] if layout == "paired" else lq)
    assert not wanted


def test_basicsrs_paired_dataset_finds_the_pairs_without_a_list(basicsr_path, shards, tmp_path):
    made = unpack(shards["centre"], tmp_path / "out", "paired", category="one")
    assert len(dataset_of("PairedImageDataset", tmp_path / "out", meta_info_file=None)) == made.samples


@pytest.mark.parametrize("export_of", ["sequence", "centre"])
def test_scenes_are_flat_folders_whose_names_begin_with_the_scene(shards, tmp_path, export_of):
    unpack(shards[export_of], tmp_path, "scenes", category="one")
    lq, gt = ({path.stem: path for path in (tmp_path / kind).iterdir()} for kind in ("lq", "gt"))
    scenes = {name.split("_")[0] for name in lq}
    wanted = samples_of(shards[export_of])
    assert scenes == {key.replace("_", "~") for key in wanted}
    assert any("~" in scene for scene in scenes)
    numbers = range(7) if export_of == "sequence" else [3]
    assert set(gt) == {f"{scene}_{number:03d}" for scene in scenes for number in numbers}
    for scene in sorted(scenes)[:3]:
        sample = wanted[scene.replace("~", "_")]
        for number in range(7):
            with Image.open(lq[f"{scene}_{number:03d}"]) as image:
                assert np.array_equal(np.asarray(image), sample["lq"][number].permute(1, 2, 0).numpy())


def test_processes_write_the_same_folder_as_one(shards, tmp_path):
    one = unpack(shards["sequence"], tmp_path / "one", "reds", category="one")
    two = unpack(shards["sequence"], tmp_path / "two", "reds", category="one", executor=processes(2))
    assert one == two
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_a_kill_and_the_same_command_give_the_same_folder(shards, tmp_path):
    unpack(shards["sequence"], tmp_path / "whole", "vimeo90k", category="one")
    command = [*("-m", "torch_hdrpatches.cli", "unpack", shards["sequence"], tmp_path / "out")]
    command += ["--layout", "vimeo90k", "--category", "one"]
    running = subprocess.Popen([sys.executable, *command], cwd=ROOT, start_new_session=True)
    while not list(tmp_path.glob("out/.unpacked/one-*.json")):  # the first shard is done
        assert running.poll() is None
        time.sleep(0.002)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "out" / "meta_info.txt").exists()
    half_written = tmp_path / "out" / "lq" / "one-000000" / ".im1.png.123.tmp"
    half_written.write_bytes(b"half")
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/gt/one-000000/*/*.png")}
    told = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert told.stdout.splitlines()[-2].startswith("40 samples, 560 images in")
    assert told.stdout.splitlines()[-1] == "scale: 4, gt_size: 48 or less"


def test_an_interrupted_lmdb_is_completed(basicsr_path, shards, tmp_path):
    unpack(shards["centre"], tmp_path / "out", "paired", category="one", lmdb=True)
    unpack(shards["centre"], tmp_path / "half", "paired", category="one", lmdb=True)
    (tmp_path / "half" / "meta_info.txt").unlink()
    (tmp_path / "half" / ".unpacked" / "one-000001.json").unlink()
    unpack(shards["centre"], tmp_path / "half", "paired", category="one", lmdb=True)
    whole, again = (dataset_of("PairedImageDataset", tmp_path / name, lmdb=True) for name in ("out", "half"))
    assert len(whole) == len(again)
    assert all(torch.equal(whole[number]["gt"], again[number]["gt"]) for number in range(len(whole)))


def test_shards_that_an_export_has_got_since_are_added(shards, three_written, tmp_path):
    recipe = one_format(json.loads(json.dumps(three_written)))
    export(recipe, tmp_path / "shards", limit=10)
    assert unpack(tmp_path / "shards", tmp_path / "out", "paired", category="one").samples == 10
    export(recipe, tmp_path / "shards", limit=20, extend=True)
    assert unpack(tmp_path / "shards", tmp_path / "out", "paired", category="one").samples == 20
    assert len((tmp_path / "out" / "meta_info.txt").read_text().splitlines()) == 20


def test_a_folder_of_other_samples_or_files_is_refused(shards, tmp_path):
    unpack(shards["centre"], tmp_path / "out", "paired", category="one")
    with pytest.raises(ExportError, match=r"other settings \(layout: paired\); choose another folder"):
        unpack(shards["centre"], tmp_path / "out", "scenes", category="one")
    with pytest.raises(ExportError, match="from another shard one-00000"):
        unpack(shards["sequence"], tmp_path / "out", "paired", category="one")
    with pytest.raises(ExportError, match="is not empty; unpack into a folder of its own"):
        unpack(shards["centre"], shards["sequence"], "paired", category="one")


@pytest.mark.parametrize(
    ("export_of", "layout", "options", "message"),
    [
        ("centre", "reds", {}, "holds sequences, .* export them with `--gt sequence`"),
        ("hdr", "paired", {}, "16-bit HDR patch.*8 bits"),
        ("sequence", "paired", {"category": "two"}, "has scale 3, others 4; choose a format|has scale 4, others 3"),
        ("centre", "scenes", {"lmdb": True}, "reads no LMDB"),
        ("centre", "vimeo", {}, "unknown layout 'vimeo', expected one of: vimeo90k, reds, paired, scenes"),
    ],
)
def test_what_a_layout_cannot_hold_is_refused_in_one_line(shards, tmp_path, export_of, layout, options, message):
    with pytest.raises(RecipeError, match=message) as refused:
        unpack(shards[export_of], tmp_path / "out", layout, **({"category": "one"} | options))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out" / "meta_info.txt").exists()


def test_one_format_can_be_chosen(shards, tmp_path):
    made = unpack(shards["sequence"], tmp_path / "out", "paired", category="two", format="b")
    assert (made.scale, made.largest_crop) == (3, 36)
    assert made.samples == len(read_shards(shards["sequence"], category="two", format="b"))
    with pytest.raises(NoSamplesError, match="none of the records has format 'c'"):
        unpack(shards["sequence"], tmp_path / "none", "paired", format="c")


def renamed(tar: Path, target: Path, key: str) -> Path:
    """A copy of a tar whose first record has another key."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(tar) as source, tarfile.open(target, "w") as copy:
        members = source.getmembers()
        first = members[0].name.partition(".")[0]
        for member in members:
            data = source.extractfile(member).read()
            member.name = member.name.replace(first, key) if member.name.startswith(f"{first}.") else member.name
            copy.addfile(member, io.BytesIO(data))
    return target


@pytest.mark.parametrize("key", ["../../outside", "/tmp/outside", "UPPER", "with space", "a" * 101])
def test_names_that_are_not_ours_are_never_paths(shards, tmp_path, key):
    hostile = renamed(shards["centre"] / "one" / "one-000000.tar", tmp_path / "in" / "one-000000.tar", key)
    before = {path for path in tmp_path.rglob("*") if "out" not in path.parts}
    with pytest.raises(ShardError, match="is not a name of this package"):
        unpack(hostile, tmp_path / "deep" / "out", "paired")
    assert not {path for path in tmp_path.rglob("*") if path.suffix == ".png" and "out" not in path.parts} - before
    assert not Path("/tmp/outside.png").exists()
    odd = shutil.copy(shards["centre"] / "one" / "one-000000.tar", tmp_path / "in" / "One 1.tar")
    with pytest.raises(ShardError, match="'One 1' is not a name"):
        unpack(odd, tmp_path / "other", "vimeo90k")


def test_a_key_in_two_shards_is_refused(shards, tmp_path):
    for number in (0, 1):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(shards["centre"] / "one" / "one-000000.tar", tmp_path / "in" / f"one-00000{number}.tar")
    with pytest.raises(ShardError, match="is in two shards"):
        unpack(tmp_path / "in", tmp_path / "out", "paired")


def test_without_lmdb_the_error_names_the_extra(shards, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lmdb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'torch_hdrpatches\[trainers\]'"):
        unpack(shards["centre"], tmp_path / "out", "paired", lmdb=True)
    assert not (tmp_path / "out").exists()
