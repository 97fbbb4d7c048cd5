"""Each mistake in a recipe is one line, with the field, what was found, and what would be valid."""

from __future__ import annotations

import re

import pytest

from torch_hdrpatches import Recipe
from torch_hdrpatches.errors import RecipeError


def lines(**changes) -> list[str]:
    fields = {
        "categories": {"space": {"formats": {"small_540": 1.0}}},
        "movies": [{"path": "dune.mkv", "categories": ["space"]}],
    }
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(fields | changes)
    return str(caught.value).splitlines()


def lines_of_movie(**changes) -> list[str]:
    return lines(movies=[{"path": "a.mkv", "categories": ["space"]} | changes])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": 5}, "path: Input should be a valid string, found 5"),
        ({"categories": "space"}, "categories: expected a list of names .*, or a table .*, found 'space'"),
        ({"categories": [["space"]]}, "categories: expected a list of names .*"),
        ({"categories": {"space": "x"}}, "categories.space: Input should be a valid number, .*, found 'x'"),
        ({"stretches": ["x"]}, "stretches.0: Input should be a valid list, found 'x'"),
        ({"stretches": [[3, 1]]}, r"stretches: expected \[start, stop\] pairs, .*"),
        ({"colour": 1}, "colour: unknown key; valid here: path, .*"),
        ({"name": "A b"}, "name: String should match pattern .*, found 'A b'"),
    ],
)
def test_a_mistake_in_a_movie_is_one_line_about_this_movie(changes, message):
    (line,) = lines_of_movie(**changes)
    assert re.fullmatch(rf"recipe: movies\.0\.{message}", line)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"movies": []}, "movies: List should have at least 1 item, not 0, found []"),
        ({"movies": "a.mkv"}, "movies: Input should be a valid list, found 'a.mkv'"),
        ({"movies": ["a.mkv"]}, "movies.0: Input should be a valid dictionary, found 'a.mkv'"),
        ({"movies": [{"categories": ["space"]}]}, "movies.0.path: Field required"),
        (
            {"sampling": {"frame_size": "x"}},
            "sampling.frame_size: Input should be a valid list, or 'native', found 'x'",
        ),
        (
            {"sampling": {"frame_size": ["a", 2]}},
            "sampling.frame_size: Input should be a valid integer, unable to parse string as an integer, or 'native', "
            "found ['a', 2]",
        ),
        ({"tonemap": {"peak": -1}}, "tonemap.peak: Input should be greater than or equal to 1, or 'auto', found -1"),
        (
            {"accept": {"entropy": "x"}},
            "accept.entropy: Input should be a valid number, unable to parse string as a number, or a valid list, "
            "found 'x'",
        ),
        ({"formats": {"a": {"gt": [5]}}}, "formats.a.gt.1: Field required"),
        ({"tonemap": None}, "tonemap: Input should be a valid dictionary, found None"),
    ],
)
def test_a_value_that_may_be_of_several_types_is_one_line(changes, message):
    assert lines(**changes) == [f"recipe: {message}"]


def test_every_mistake_has_a_line():
    movies = [{"path": 5, "categories": ["space"]}, {"path": "a.mkv", "categories": []}]
    found = [line.split(": ")[1] for line in lines(movies=movies, sampling={"frame_size": 1, "jitter": 2}, seed="x")]
    assert found == ["seed", "sampling.jitter", "sampling.frame_size", "movies.0.path", "movies.1.categories"]
