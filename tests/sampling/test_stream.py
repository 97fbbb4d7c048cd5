"""The stream is a pure function: of recipe, epoch and slot, and of nothing else."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace

import pytest
import torch

from tests.helpers.samples import digest, signatures
from torch_hdrpatches.errors import MovieError, RecipeError, StorageError
from torch_hdrpatches.frames import Box
from torch_hdrpatches.probe import open_movie
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.sampling import PatchStream, Sample
from torch_hdrpatches.sampling.cutter import Cutter, weighted_choice
from torch_hdrpatches.sampling.geometry import random_box
from torch_hdrpatches.testing import read_number
from torch_hdrpatches.video import MovieReader, movie_file


def outcomes(stream: PatchStream, epoch: int = 0) -> list:
    return [outcome for run in stream.plan for outcome in stream.run(epoch, run)]


def samples(stream: PatchStream, epoch: int = 0) -> list:
    return [sample for outcome in outcomes(stream, epoch) for sample in outcome.samples]


def test_a_slot_gives_the_same_alone_as_in_the_stream(recipe):
    stream = PatchStream(recipe)
    for outcome in outcomes(stream):
        alone = PatchStream(recipe).outcome(0, outcome.movie, outcome.slot)
        assert signatures(alone.samples) == signatures(outcome.samples)
        assert (alone.rejects, alone.windows) == (outcome.rejects, outcome.windows)


def test_a_pickled_stream_gives_the_same(recipe):
    stream = PatchStream(recipe)
    before = signatures(samples(stream))
    assert signatures(samples(pickle.loads(pickle.dumps(stream)))) == before


def test_another_category_changes_no_other_sample(recipe):
    before = {key: rest for key, *rest in signatures(samples(PatchStream(recipe)))}
    recipe["categories"]["extra"] = {"formats": {"square": 1.0}}
    recipe["movies"][0]["categories"]["extra"] = 1.0
    after = {key: rest for key, *rest in signatures(samples(PatchStream(recipe)))}
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 9


def test_more_crops_come_from_the_same_decode(recipe):
    one, three = (
        outcomes(PatchStream(recipe | {"sampling": recipe["sampling"] | {"crops_per_category": n}})) for n in (1, 3)
    )
    for single, several in zip(one, three, strict=True):
        assert several.windows == single.windows
        assert len(several.samples) == 3 * len(single.samples)
        assert len({sample["key"] for sample in several.samples}) == len(several.samples)
        assert set(signatures(single.samples)) <= set(signatures(several.samples))
        assert len({sample["crop"] for sample in several.samples}) > len(single.samples)


def test_epochs_and_seeds_give_other_crops(recipe):
    boxes = {
        tuple(sample["crop"] for sample in samples(PatchStream(recipe | {"seed": seed}), epoch))
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(boxes) == 4


def test_one_window_is_decoded_per_slot_and_retry_however_many_categories_there_are(recipe, monkeypatch):
    opened: list[MovieReader] = []
    remember = MovieReader.__init__
    monkeypatch.setattr(
        MovieReader, "__init__", lambda movie, *a, **k: (opened.append(movie), remember(movie, *a, **k))[1]
    )
    decoded = {}
    for names in (["master"], ["master", "space", "toon"]):
        opened.clear()
        recipe["movies"][0]["categories"] = recipe["movies"][1]["categories"] = names
        given = outcomes(PatchStream(recipe))
        counted = sum(movie.counters.windows for movie in opened)
        assert counted == sum(outcome.windows for outcome in given)
        assert counted == len(given) + sum(len(outcome.rejects) for outcome in given)
        assert sum(len(outcome.samples) for outcome in given) == len(names) * len(given)
        decoded[len(names)] = sum(movie.counters.frames_decoded for movie in opened)
    assert decoded[1] == decoded[3]


def test_the_picture_is_the_frame_that_the_sample_names(recipe):
    for sample in samples(PatchStream(recipe)):
        top, left, *_ = sample["crop"]
        assert read_number(sample["gt"], top, left) == round(sample["seconds"] * 24)


def test_aligned_windows_begin_with_a_keyframe_and_come_once_per_keyframe(recipe):
    recipe["sampling"]["align"] = "keyframe"
    given = [outcome for outcome in outcomes(PatchStream(recipe)) if outcome.movie == "hlg"]
    reasons = [[reason for _, reason in outcome.rejects] for outcome in given]
    assert reasons.count(["same_gop"]) == 8 - 3
    assert all(outcome.windows == (0 if outcome.rejects else 1) for outcome in given)
    centres = [round(sample["seconds"] * 24) for outcome in given for sample in outcome.samples[:1]]
    assert centres == [3, 27, 51], "keyframes are at 0, 24 and 48"
    for sample in (sample for outcome in given for sample in outcome.samples):
        assert read_number(sample["gt"], *sample["crop"][:2]) == round(sample["seconds"] * 24)


def test_cuts_are_retried_further_on_and_counted(recipe):
    given = [outcome for outcome in outcomes(PatchStream(recipe)) if outcome.movie == "pq"]
    retried = [outcome for outcome in given if outcome.rejects]
    assert retried, "this movie has cuts at slots"
    for outcome in retried:
        assert {reason for _, reason in outcome.rejects} == {"cut"}
        assert outcome.samples[0]["attempt"] == len(outcome.rejects) == outcome.windows - 1


def test_every_refused_window_is_told_with_the_moment_at_which_it_was_refused(recipe):
    stream = PatchStream(recipe)
    told = [reject for outcome in outcomes(stream) if outcome.movie == "pq" for reject in outcome.rejects]
    facts = stream.facts("pq")
    with open_movie(facts.path, facts=facts) as movie:
        cutter = Cutter(stream.recipe, facts, stream.options)
        assert [cutter.stability(movie.window(seconds, 7)).reason for seconds, _ in told] == ["cut"] * len(told) != []


def test_crops_lie_inside_the_picture_and_outside_the_bars(recipe):
    for sample in samples(PatchStream(recipe)):
        top, left, height, width = sample["crop"]
        bar = 30 if sample["movie"] == "pq" else 0
        assert top >= bar
        assert top + height <= 360 - bar
        assert left >= 0
        assert left + width <= 640
        assert tuple(sample["gt"].shape) == (3, height, width)
        assert tuple(sample["lq"].shape) == (7, 3, height // 3, width // 3)
        assert sample["gt"].dtype == sample["lq"].dtype == torch.uint8


@pytest.mark.parametrize("gt", ["centre", "sequence"])
@pytest.mark.parametrize("output", ["sdr", "hdr", "both"])
def test_tensors_come_first_and_can_be_viewed_in_any_shape(recipe, output, gt):
    tensors = ["lq", "gt", "lq_hdr", "gt_hdr"] if output == "both" else ["lq", "gt"]
    for sample in samples(PatchStream(recipe, output=output, gt=gt)):
        assert list(sample)[: len(tensors) + 1] == [*tensors, "key"]
        assert list(sample) == [name for name in Sample.__annotations__ if name in sample]
        for name in tensors:
            frames, height, width = sample[name].shape[:-3].numel(), *sample[name].shape[-2:]
            assert tuple(sample[name].view(frames * 3, height, width).shape) == (frames * 3, height, width)
            assert sample[name].untyped_storage().nbytes() == sample[name].nbytes


def test_a_format_that_does_not_fit_is_replaced_by_one_that_does(recipe):
    recipe["formats"]["tall"] = {"gt": [330, 90]}
    recipe["categories"]["master"]["formats"] = {"tall": 0.5, "square": 0.5}
    by_movie = {"pq": set(), "hlg": set()}
    for sample in samples(PatchStream(recipe)):
        if sample["category"] == "master":
            by_movie[sample["movie"]].add(sample["format"])
    assert by_movie == {"pq": {"square"}, "hlg": {"tall", "square"}}


def test_a_category_whose_formats_do_not_fit_is_counted(recipe):
    recipe["formats"]["tall"] = {"gt": [330, 90]}
    recipe["categories"]["space"]["formats"] = {"tall": 1.0}
    given = [outcome for outcome in outcomes(PatchStream(recipe)) if outcome.movie == "pq"]
    assert ("space", "no_format_fits") in {refusal for outcome in given for refusal in outcome.refused}
    assert all(len(outcome.samples) == 1 for outcome in given)


def test_a_bad_movie_costs_that_movie_only(recipe, tmp_path):
    (tmp_path / "bad.mkv").write_bytes(b"no movie at all" * 100)
    recipe["movies"].insert(0, {"path": str(tmp_path / "bad.mkv"), "categories": ["master"]})
    given = outcomes(PatchStream(recipe))
    failed = [outcome for outcome in given if outcome.movie == "bad"]
    assert len(failed) == 9
    assert all(isinstance(outcome.failure, MovieError) and not outcome.samples for outcome in failed)
    assert all(outcome.failure is None and outcome.samples for outcome in given if outcome.movie != "bad")


def test_a_movie_that_vanishes_while_it_is_read_stops_the_run_and_costs_no_slot(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(movie_file, "PAUSES", (0.0,))
    path = tmp_path / "gone.mkv"
    shutil.copy(recipe["movies"][0]["path"], path)
    recipe["movies"][0] |= {"path": str(path), "name": "gone", "timestamps": 24}
    stream = PatchStream(recipe)
    first, second, *_ = [run for run in stream.plan if run.name == "gone"]
    assert all(outcome.samples for outcome in stream.run(0, first) if not outcome.rejects)
    wanted = [signatures(outcome.samples) for outcome in stream.run(0, second)]
    path.rename(tmp_path / "away.mkv")
    with pytest.raises(StorageError, match=r"gone\.mkv: cannot be read after 2 attempts \(.*No such file"):
        list(stream.run(0, second))
    assert all(outcome.failure is None for outcome in stream.run(0, stream.plan.run_of("hlg", 0)))
    (tmp_path / "away.mkv").rename(path)
    assert [signatures(outcome.samples) for outcome in stream.run(0, second)] == wanted


def test_only_the_degradation_changes_when_only_the_degradation_is_changed(recipe):
    def dark(frames, scale, rng):
        return frames[..., ::scale, ::scale] // 2

    plain, darker = samples(PatchStream(recipe)), samples(PatchStream(recipe, degrade=dark))
    for one, other in zip(plain, darker, strict=True):
        assert (one["key"], one["crop"], digest(one["gt"])) == (other["key"], other["crop"], digest(other["gt"]))
        assert digest(one["lq"]) != digest(other["lq"])


def test_a_transform_gets_a_generator_of_its_own_address(recipe):
    def flip(sample, rng):
        return {**sample, "flipped": bool(rng.random() < 0.5)}

    flips = [[sample["flipped"] for sample in samples(PatchStream(recipe, transform=flip))] for _ in range(2)]
    assert flips[0] == flips[1]
    assert set(flips[0]) == {True, False}


def test_a_curve_of_ones_own_changes_the_pictures_and_nothing_else(recipe):
    def clip(light, peak):
        return light.clip(0, 1)

    mine = samples(PatchStream(recipe, curve=clip))
    built_in = samples(PatchStream(recipe | {"tonemap": {"curve": "clip"}}))
    assert [s["crop"] for s in mine] == [s["crop"] for s in samples(PatchStream(recipe))]
    assert signatures(mine) == signatures(built_in)
    assert mine[0]["tonemap"]["curve"].endswith("clip")


def test_the_most_detailed_of_several_candidates_is_taken(recipe):
    plain = samples(PatchStream(recipe))
    chosen = samples(PatchStream(recipe | {"crop": {"candidates": 4}}))
    assert sum(s["measures"]["sharpness"] for s in chosen) > sum(s["measures"]["sharpness"] for s in plain)


def test_a_patch_that_is_not_accepted_is_refused_by_reason(recipe):
    given = outcomes(PatchStream(recipe | {"accept": {"sharpness": 1e9}}))
    assert not any(outcome.samples for outcome in given)
    assert {reason for outcome in given for _, reason in outcome.refused} == {"not_accepted_sharpness"}


def test_accepted_patches_keep_their_bounds(recipe):
    accepted = samples(PatchStream(recipe | {"accept": {"mean_luma": [60.0, 150.0]}}))
    assert accepted
    assert all(60 <= sample["measures"]["mean_luma"] <= 150 for sample in accepted)


def test_a_missing_movie_is_an_error_in_the_recipe(recipe):
    recipe["movies"][1]["path"] = "gone.mp4"
    with pytest.raises(RecipeError, match=r"movies\.1\.path"):
        PatchStream(recipe)


def test_boxes_are_anywhere_in_the_area_and_nowhere_else():
    area = Box(10, 20, 8, 9)
    tops, lefts = zip(*[random_box(rng_at("t", n), area, 5, 5)[:2] for n in range(500)], strict=True)
    assert (set(tops), set(lefts)) == ({10, 11, 12, 13}, {20, 21, 22, 23, 24})
    assert random_box(rng_at("t"), area, 8, 9) == area


def test_weights_are_shares():
    picks = [weighted_choice({"b": 3.0, "a": 1.0}, n / 1000) for n in range(1000)]
    assert picks.count("a") == 250
    assert picks == [weighted_choice({"a": 1.0, "b": 3.0}, n / 1000) for n in range(1000)]


def test_an_outcome_is_data(recipe):
    outcome = PatchStream(recipe).outcome(0, "hlg", 3)
    assert replace(outcome, samples=()) == replace(pickle.loads(pickle.dumps(outcome)), samples=())
