"""Independent parts write the same folder as one process."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from tests.helpers.exports import differing, tree
from torch_hdrpatches import export
from torch_hdrpatches.errors import ExportError, RecipeError
from torch_hdrpatches.exporter import Part, export_part, finish_parts
from torch_hdrpatches.exporter.lock import exclusive, shared
from torch_hdrpatches.storage.folder import Folder


def finished(recipe, out, parts, **options):
    """Export the parts in this order, repeatedly, until they can be finished; returns how often."""
    for times in range(1, 20):
        for part in parts:
            export_part(recipe, out, part, **options)
        with suppress(ExportError):
            finish_parts(recipe, out)
            return times
    pytest.fail("never done")


@pytest.mark.parametrize(
    ("parts", "options"),
    [
        ([Part(0, 4), Part(1, 4), Part(2, 4), Part(3, 4)], {}),
        ([Part(3, 4), Part(0, 4), Part(2, 4), Part(1, 4)], {"workers": 2}),
        ([Part(0, 1)], {}),
        ([Part(6, 7), *(Part(number, 7) for number in range(6))], {}),
    ],
)
def test_parts_in_any_order_write_the_same_folder_as_one_process(three, tmp_path, three_whole, parts, options):
    finished(three, tmp_path / "out", parts, **options)
    assert differing(tree(tmp_path / "out"), three_whole) == []


def test_without_targets_every_part_runs_once(three, tmp_path):
    for category in three["categories"].values():
        category.pop("target", None)
    export(three, tmp_path / "whole")
    assert finished(three, tmp_path / "out", [Part(number, 3) for number in range(3)]) == 1
    assert differing(tree(tmp_path / "out"), tree(tmp_path / "whole")) == []


def test_finish_names_missing_jobs_and_their_parts(three, tmp_path):
    for number in (0, 1, 3):
        export_part(three, tmp_path, Part(number, 4))
    with pytest.raises(ExportError, match=r"jobs are missing: 2 of epoch 0; run part 2/4 again"):
        finish_parts(three, tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_finish_says_that_another_epoch_is_needed(three, tmp_path):
    for number in range(2):
        export_part(three, tmp_path, Part(number, 2))
    for path in (tmp_path / ".work").glob("job-*.json"):
        if json.loads(path.read_text())["epoch"] > 0:
            path.unlink()
    with pytest.raises(ExportError, match=r"epoch 1 is needed \(.*three has \d+ of 30\); run all parts again"):
        finish_parts(three, tmp_path)


def test_an_export_without_parts_does_the_remaining_jobs(three, tmp_path, three_whole):
    export_part(three, tmp_path / "out", Part(1, 3))
    export(three, tmp_path / "out")
    assert differing(tree(tmp_path / "out"), three_whole) == []


def test_a_part_does_nothing_twice(three, tmp_path):
    assert export_part(three, tmp_path, Part(0, 3)).total > 0
    assert export_part(three, tmp_path, Part(0, 3)).total == 0


def test_different_parts_run_at_once_but_not_the_same_part_twice_nor_an_export(three, tmp_path):
    folder = Folder.of(tmp_path)
    with shared(folder, "part-1-of-3"):
        export_part(three, tmp_path, Part(0, 3))
        with pytest.raises(ExportError, match="another export is at work here"):
            export_part(three, tmp_path, Part(1, 3))
        with pytest.raises(ExportError, match="another export is at work here"):
            export(three, tmp_path)
        with pytest.raises(ExportError, match="another export is at work here"):
            finish_parts(three, tmp_path)
    with exclusive(folder), pytest.raises(ExportError, match="another export is at work here"):
        export_part(three, tmp_path, Part(0, 3))


def test_the_tally_of_a_part_counts_its_own_jobs(three, tmp_path):
    for category in three["categories"].values():
        category.pop("target", None)
    made = [export_part(three, tmp_path, Part(number, 2)) for number in range(2)]
    made[0] += made[1]
    assert made[0] == finish_parts(three, tmp_path)


@pytest.mark.parametrize("text", ["4/4", "1", "1/0", "a/b", "-1/4", "1/4/2"])
def test_an_invalid_part_is_refused(text):
    with pytest.raises(RecipeError, match="part"):
        Part.parse(text)
