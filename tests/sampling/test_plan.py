"""The order of an epoch is a permutation that everybody agrees on."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torch_hdrpatches.recipe.recipe import ResolvedRecipe
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.sampling.plan import SLOTS_PER_RUN, Plan, Run

seeds = st.integers(0, 2**31)
numbers_of_slots = st.lists(st.integers(1, 70), min_size=1, max_size=5)


def plan_of(*timestamps: int, seed: int = 0, probability: float = 1.0, crops: int = 1) -> Plan:
    movies = [
        {"path": f"{n}.mkv", "name": f"m{n}", "categories": {"a": probability, "b": 1.0}, "slots": count}
        for n, count in enumerate(timestamps)
    ]
    categories = {name: {"formats": {"small_540": 1}} for name in "ab"}
    fields = {"seed": seed, "sampling": {"crops_per_category": crops}, "categories": categories, "movies": movies}
    return Plan(ResolvedRecipe.model_validate(fields))


def runs_of(plan: Plan) -> list[Run]:
    """The runs, listed one by one."""
    return [
        Run(movie, first, min(first + SLOTS_PER_RUN, movie.slots))
        for movie in plan.recipe.movies
        for first in range(0, movie.slots, SLOTS_PER_RUN)
    ]


@given(numbers_of_slots)
def test_a_run_is_found_by_its_number_and_by_any_of_its_slots(timestamps):
    plan = plan_of(*timestamps)
    runs = runs_of(plan)
    assert len(plan) == len(runs)
    assert list(plan) == runs
    assert [plan.run(index) for index in range(len(runs))] == runs
    assert all(plan.run_of(run.name, slot.index) == run for run in runs for slot in run.slots)


@pytest.mark.parametrize(("movie", "slot"), [("m0", -1), ("m0", 9), ("m2", 0)])
def test_a_slot_that_is_not_planned_is_named(movie, slot):
    with pytest.raises(LookupError, match=f"no slot {slot} of movie '{movie}'"):
        plan_of(9, 20).run_of(movie, slot)


@pytest.mark.parametrize("index", [-1, 5])
def test_a_run_that_is_not_planned_is_refused(index):
    with pytest.raises(IndexError, match=f"no run {index}, the plan has 5"):
        plan_of(9, 20).run(index)


@given(numbers_of_slots, seeds, st.integers(0, 1000), st.floats(0.01, 1), st.integers(1, 3))
def test_the_planned_samples_of_each_position_are_those_of_its_slots(timestamps, seed, epoch, probability, crops):
    plan = plan_of(*timestamps, seed=seed, probability=probability, crops=crops)
    runs = [plan.run_at(epoch, position) for position in range(len(plan))]
    slots = [[len(slot.categories(seed, epoch)) for slot in run.slots] for run in runs]
    assert plan.planned(epoch).tolist() == [crops * sum(counts) for counts in slots]


@given(st.integers(1, 70), seeds, st.integers(0, 1000), st.floats(0.01, 0.99))
def test_a_slot_has_a_category_if_the_draw_at_its_place_is_below_the_probability(slots, seed, epoch, probability):
    plan = plan_of(slots, seed=seed, probability=probability)
    draws = rng_at("category", seed, "m0", epoch, "a").random(slots)
    expected = [("a", "b") if draw < probability else ("b",) for draw in draws]
    assert [slot.categories(seed, epoch) for run in plan for slot in run.slots] == expected


def test_the_samples_of_five_hundred_films_are_counted_at_once():
    plan, began = plan_of(*[3000] * 500, probability=0.3), time.process_time()
    assert plan.planned(0).sum() == pytest.approx(1.3 * 500 * 3000, rel=0.01)
    assert time.process_time() - began < 2  # 0.1 s; a hash for each slot took 5 s


@given(numbers_of_slots, seeds, st.integers(0, 1000))
def test_every_slot_stands_in_an_epoch_exactly_once(timestamps, seed, epoch):
    plan = plan_of(*timestamps, seed=seed)
    slots = Counter((slot.movie.name, slot.index) for index in plan.order(epoch) for slot in plan.run(index).slots)
    assert slots == Counter((f"m{n}", index) for n, count in enumerate(timestamps) for index in range(count))


@given(seeds, st.integers(0, 1000))
def test_two_plans_of_equal_recipes_agree(seed, epoch):
    assert (plan_of(50, 9, seed=seed).order(epoch) == plan_of(50, 9, seed=seed).order(epoch)).all()


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {tuple(plan_of(400, seed=seed).order(epoch)) for seed in (0, 1) for epoch in (0, 1)}
    assert len(orders) == 4


def test_runs_are_neighbouring_slots_in_time_order():
    for run in plan_of(20):
        seconds = [slot.seconds(0, 0, 0.0, 100.0) for slot in run.slots]
        assert seconds == [index * 5.0 for index in range(run.first, run.stop)]
        assert len(seconds) <= SLOTS_PER_RUN


@given(st.integers(1, 60), seeds, st.integers(0, 100), st.floats(0, 1))
def test_jitter_moves_a_slot_within_its_own_place_only(timestamps, seed, epoch, jitter):
    for run in plan_of(timestamps):
        for slot in run.slots:
            start, width = slot.index * 60.0 / timestamps, 60.0 / timestamps
            assert start <= slot.seconds(seed, epoch, jitter, 60.0) <= start + jitter * width


def test_a_category_comes_as_often_as_its_probability_says():
    plan = plan_of(4000, probability=0.4)
    given_a = sum("a" in slot.categories(0, 0) for run in plan for slot in run.slots)
    assert 1480 < given_a < 1720  # 1600 ± 4 sigma
    assert plan.planned(0).sum() == 4000 + given_a


def test_another_movie_moves_no_slot_and_no_category_of_the_first():
    one, two = plan_of(30, probability=0.5), plan_of(30, 30, probability=0.5)
    for run, same in zip(one, two, strict=False):
        for slot, twin in zip(run.slots, same.slots, strict=True):
            assert slot.seconds(1, 2, 1.0, 50.0) == twin.seconds(1, 2, 1.0, 50.0)
            assert slot.categories(1, 2) == twin.categories(1, 2)
