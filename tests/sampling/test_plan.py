"""The order of an epoch is a permutation that everybody agrees on."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from torch_hdrpatches.recipe.recipe import ResolvedRecipe
from torch_hdrpatches.sampling.plan import SLOTS_PER_RUN, Plan

seeds = st.integers(0, 2**31)


def plan_of(*timestamps: int, seed: int = 0, probability: float = 1.0) -> Plan:
    movies = [
        {"path": f"{n}.mkv", "name": f"m{n}", "categories": {"a": probability, "b": 1.0}, "slots": count}
        for n, count in enumerate(timestamps)
    ]
    categories = {name: {"formats": {"small_540": 1}} for name in "ab"}
    return Plan(ResolvedRecipe.model_validate({"seed": seed, "categories": categories, "movies": movies}))


@given(st.lists(st.integers(1, 70), min_size=1, max_size=5), seeds, st.integers(0, 1000))
def test_every_slot_stands_in_an_epoch_exactly_once(timestamps, seed, epoch):
    plan = plan_of(*timestamps, seed=seed)
    slots = Counter(
        (slot.movie.name, slot.index) for position in plan.order(epoch) for slot in plan.runs[position].slots
    )
    assert slots == Counter((f"m{n}", index) for n, count in enumerate(timestamps) for index in range(count))


@given(seeds, st.integers(0, 1000))
def test_two_plans_of_equal_recipes_agree(seed, epoch):
    assert (plan_of(50, 9, seed=seed).order(epoch) == plan_of(50, 9, seed=seed).order(epoch)).all()


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(plan_of(400, seed=seed).order(epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def test_runs_are_neighbouring_slots_in_time_order():
    for run in plan_of(20).runs:
        seconds = [slot.seconds(0, 0, 0.0, 100.0) for slot in run.slots]
        assert seconds == [index * 5.0 for index in range(run.first, run.stop)]
        assert len(seconds) <= SLOTS_PER_RUN


@given(st.integers(1, 60), seeds, st.integers(0, 100), st.floats(0, 1))
def test_jitter_moves_a_slot_within_its_own_place_only(timestamps, seed, epoch, jitter):
    for run in plan_of(timestamps).runs:
        for slot in run.slots:
            start, width = slot.index * 60.0 / timestamps, 60.0 / timestamps
            assert start <= slot.seconds(seed, epoch, jitter, 60.0) <= start + jitter * width


def test_a_category_comes_as_often_as_its_probability_says():
    plan = plan_of(4000, probability=0.4)
    given_a = sum("a" in slot.categories(0, 0) for run in plan.runs for slot in run.slots)
    assert 1480 < given_a < 1720  # 1600 ± 4 sigma
    assert plan.samples(0, range(len(plan))) == 4000 + given_a


def test_another_movie_moves_no_slot_and_no_category_of_the_first():
    one, two = plan_of(30, probability=0.5), plan_of(30, 30, probability=0.5)
    for run, same in zip(one.runs, two.runs, strict=False):
        for slot, twin in zip(run.slots, same.slots, strict=True):
            assert slot.seconds(1, 2, 1.0, 50.0) == twin.seconds(1, 2, 1.0, 50.0)
            assert slot.categories(1, 2) == twin.categories(1, 2)
