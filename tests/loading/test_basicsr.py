"""BasicSR's own train_pipeline trains on live patches and on shards, by the dataset type HDRPatches."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from tests.helpers.samples import Refuses
from torch_hdrpatches import HDRPatchDataset, export, read_shards
from torch_hdrpatches.errors import NoSamplesError, RecipeError, ShardError
from torch_hdrpatches.loading import adapters

ROOT = Path(__file__).parents[2]
ITERATIONS = 4
"""Instead of the 20 of the examples, each of which takes three seconds."""
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::SyntaxWarning")


@pytest.fixture(scope="module")
def ours(basicsr_path: str) -> ModuleType:
    """The module ``torch_hdrpatches.loading.basicsr``."""
    return importlib.import_module("torch_hdrpatches.loading.basicsr")


@pytest.fixture
def recipe(small: dict[str, Any]) -> dict[str, Any]:
    """Four runs; both categories have the format ``a``."""
    small["sampling"]["timestamps_per_movie"] = 16
    return small


def built(ours: ModuleType, **opt: Any) -> Any:
    """The dataset as BasicSR builds it."""
    from basicsr.data import build_dataset

    return build_dataset({"name": "train", "type": "HDRPatches", "phase": "train", "scale": 3, **opt})


def test_basicsr_builds_it_and_it_gives_what_the_adapter_gives(ours, recipe):
    dataset = built(ours, recipe=recipe, format="a", io_backend={"type": "disk"}, batch_size_per_gpu=2)
    assert len(dataset) > 40
    item = dataset[17]
    assert (tuple(item["lq"].shape), tuple(item["gt"].shape)) == ((7, 3, 16, 16), (7, 3, 48, 48))
    assert item["gt"].dtype == torch.float32
    assert 0 <= float(item["gt"].min()) < float(item["gt"].max()) <= 1
    live = HDRPatchDataset(ours.restricted(ours.Recipe.load(recipe), None, "a"), gt="sequence")
    same = adapters.basicsr(next(sample for sample in live if sample["key"] == item["key"]))
    assert all(torch.equal(item[name], same[name]) for name in ("lq", "gt"))
    centre = built(ours, recipe=recipe, category="one", format="a", gt="centre")[0]
    assert tuple(centre["gt"].shape) == (3, 48, 48)
    assert "-one-" in centre["key"]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_of_random_indices_gives_every_sample_once(ours, recipe, workers):
    dataset = built(ours, recipe=recipe, category="one", format="a", gt="centre")
    live = list(HDRPatchDataset(ours.restricted(ours.Recipe.load(recipe), "one", "a")))
    indices = torch.randperm(len(dataset))[: len(live) // 2 * 2].tolist()
    keys = [key for batch in DataLoader(dataset, 1, sampler=indices, num_workers=workers) for key in batch["key"]]
    assert max(Counter(keys).values()) == 1
    assert set(keys) <= {sample["key"] for sample in live}
    assert len(keys) > len(live) - 2


def test_a_worker_goes_on_with_the_next_epoch(ours, recipe):
    dataset = built(ours, recipe=recipe, category="one", format="a", gt="centre", epoch=3)
    keys = [dataset[0]["key"] for _ in range(2 * len(dataset))]
    assert "-3-" in keys[0]
    assert len(keys) == 2 * len(dataset)


def test_a_forked_or_spawned_worker_begins_its_own_share(ours, recipe):
    dataset = built(ours, recipe=recipe, category="one", format="a")
    dataset[0]
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy[0]["key"]
    keys = [key for batch in DataLoader(dataset, 1, sampler=range(8), num_workers=2) for key in batch["key"]]
    assert len(set(keys)) == 8


def test_shards_give_sequences_or_their_centre_frames(ours, recipe, tmp_path):
    export(recipe, tmp_path / "sequence", gt="sequence", limit=8)
    whole = built(ours, shards=str(tmp_path / "sequence"), format="a")
    assert len(whole) == len(read_shards(tmp_path / "sequence", format="a"))
    assert tuple(whole[0]["gt"].shape) == (7, 3, 48, 48)
    centre = built(ours, shards=str(tmp_path / "sequence"), format="a", gt="centre")
    stored = next(
        sample for sample in read_shards(tmp_path / "sequence") if sample["key"] == (item := centre[0])["key"]
    )
    assert torch.equal(item["gt"], adapters.unit(stored["gt"][3]))
    export(recipe, tmp_path / "centre", limit=8)
    with pytest.raises(ShardError, match='export with gt="sequence", or set gt: centre'):
        built(ours, shards=str(tmp_path / "centre"), format="a")[0]
    assert tuple(built(ours, shards=str(tmp_path / "centre"), format="a", gt="centre")[0]["gt"].shape) == (3, 48, 48)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either recipe: .* or shards:"),
        ({"catgory": "one"}, "no option 'catgory', expected recipe, shards"),
        ({"use_hflip": True}, "no option 'use_hflip'.*the recipe decides"),
        ({"format": "a", "gt": "center"}, "gt: 'center', expected sequence or centre"),
        ({"format": "a", "phase": "val"}, "for training only; validate with VideoTestDataset"),
        ({}, "have the formats a, b, c; choose one, e.g. format: a"),
        ({"format": "d"}, r"format: d; categories and their formats: one \(a, b\); two \(a, c\)"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(ours, recipe, options, message):
    given = {"recipe": recipe} if "either" not in message else {}
    with pytest.raises(RecipeError, match=message):
        built(ours, **given, **options)


def test_another_scale_than_that_of_the_patches_is_refused(ours, recipe):
    with pytest.raises(RecipeError, match="format a has scale 3, the options say scale: 4"):
        built(ours, recipe=recipe, format="a", scale=4)[0]


def test_a_worker_without_samples_says_so_instead_of_waiting_for_ever(ours, recipe):
    recipe["movies"][1]["timestamps"] = 8
    dataset = built(ours, recipe=recipe, format="a", category="one")
    dataset.dataset = HDRPatchDataset(recipe, rank=1, world_size=2, gt="sequence")
    loader = DataLoader(dataset, batch_size=1, num_workers=2)  # three runs for four workers
    with pytest.raises(NoSamplesError, match="an epoch has 3 runs for all workers of all ranks; use fewer workers"):
        list(loader)
    dataset.dataset = HDRPatchDataset(recipe, accept=Refuses(1.0))
    with pytest.raises(NoSamplesError):
        dataset[0]


@pytest.mark.parametrize(
    ("model", "gt", "message"),
    [
        ("VideoRecurrentModel", "centre", "gives all frames, but gt: centre"),
        ("VideoRecurrentGANModel", "centre", "gives all frames, but gt: centre"),
        ("EDVRModel", "sequence", "gives the centre frame, but gt: sequence"),
    ],
)
def test_a_gt_that_would_broadcast_against_the_output_is_refused(ours, model, gt, message):
    options = {"model_type": model, "datasets": {"train": {"type": "HDRPatches", "gt": gt}}}
    with pytest.raises(RecipeError, match=message):
        ours.check_shapes(options)
    options["datasets"]["train"]["gt"] = {"centre": "sequence", "sequence": "centre"}[gt]
    ours.check_shapes(options)
    options["datasets"]["train"] = {"type": "REDSDataset", "gt": gt}
    ours.check_shapes(options)


def test_without_basicsr_the_import_says_what_to_install(tmp_path):
    (tmp_path / "basicsr.py").write_text("raise ImportError('no BasicSR here')")
    code = "import torch_hdrpatches.loading.basicsr"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("torch_hdrpatches.errors.MissingExtraError")
    assert last.endswith("pip install basicsr torchvision")


@pytest.mark.parametrize("example", ["live", "unpacked"])
def test_basicsrs_own_train_pipeline_runs_the_example(basicsr_path, demo, tmp_path, example):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "demo").symlink_to(demo / "demo")
    options = f"examples/basicsr_{example}.yml"
    for command in commands_of(ROOT / options):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": f"{basicsr_path}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
    logs = "".join(log.read_text() for log in tmp_path.glob("experiments/*/train_*.log"))
    assert logs.count("l_pix") == ITERATIONS
    assert "nan" not in logs.partition("l_pix")[2]


def commands_of(options: Path) -> list[list[str]]:
    """The commands in the comment at the top of an example, but for the demo, as arguments of ``python -m``."""
    lines = [line.removeprefix("#").strip() for line in options.read_text().splitlines() if line.startswith("#   ")]
    words = [
        line.partition("#")[0].replace("hdrpatches ", "python -m torch_hdrpatches.cli ", 1).split() for line in lines
    ]
    assert all(command[:2] == ["python", "-m"] for command in words)
    few = ["--force_yml", f"train:total_iter={ITERATIONS}"]
    return [command[2:] + (few if "-opt" in command else []) for command in words if "demo" not in command]
