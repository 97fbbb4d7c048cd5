"""Functions that users pass are checked when they are given, and named when they fail, in any process."""

from __future__ import annotations

import traceback
from functools import partial
from operator import itemgetter
from typing import Any

import pytest
from torch.utils.data import DataLoader

from torch_hdrpatches import HDRPatchDataset, PatchLoader, export, read_shards
from torch_hdrpatches.callables import checked
from torch_hdrpatches.errors import DamagedMovieError
from torch_hdrpatches.transforms import BI, Flip

IN_ANY_PROCESS = pytest.mark.parametrize(("workers", "start"), [(0, None), (2, "fork"), (2, "spawn")])


class TwoArgumentsError(Exception):
    def __init__(self, path: str, line: int) -> None:
        super().__init__(path, line)


class TextlessError(Exception):
    """Torch can make one from a text in the main process, but the text is gone then."""

    def __init__(self, code: object) -> None:
        super().__init__("failed")


def local_error() -> Exception:
    class LocalError(Exception):
        """Cannot be pickled: torch waits for it forever."""

    return LocalError("of a function")


class Raises:
    """Fails whatever it is called with."""

    def __init__(self, error: Any) -> None:
        self.error = error

    def __call__(self, *_: Any) -> Any:
        raise self.error() if isinstance(self.error, type(local_error)) else self.error

    def __repr__(self) -> str:
        return "Raises"


def raised_by(loader: Any) -> tuple[Exception, str]:
    """The error that ends an iteration, and all that Python prints of it."""
    try:
        list(loader)
    except Exception as error:  # noqa: BLE001
        text = "".join(traceback.format_exception(error))
        # Without the frames, which keep the loader until a collection of garbage, in the middle of another test.
        return error.with_traceback(None), text
    raise AssertionError("there was no error")


@IN_ANY_PROCESS
@pytest.mark.parametrize(
    ("error", "in_worker"),
    [
        (ValueError("no mask"), ValueError),
        (KeyError("mask"), KeyError),
        (TwoArgumentsError("a", 1), RuntimeError),
        (TextlessError(1), RuntimeError),
    ],
)
def test_an_error_in_a_transform_names_the_sample_and_the_function(small, error, in_worker, workers, start):
    dataset = HDRPatchDataset(small, transform=Raises(error))
    options = {"num_workers": workers, "multiprocessing_context": start}
    found, text = raised_by(DataLoader(dataset, batch_size=None, **options))
    assert type(found) is (in_worker if workers else type(error))
    assert workers or found is error
    assert "This happened in transform Raises for sample " in text
    assert type(error).__name__ in text


def test_an_error_that_cannot_be_pickled_does_not_hang_a_loader(small):
    dataset = HDRPatchDataset(small, transform=Raises(local_error))
    for loader in (DataLoader(dataset, batch_size=None, num_workers=1), PatchLoader(dataset, num_workers=1)):
        found, text = raised_by(loader)
        assert type(found) is RuntimeError
        assert "LocalError: of a function" in text


@pytest.mark.parametrize("name", ["accept", "degrade", "curve"])
def test_every_function_of_a_user_is_named_with_the_sample(small, name):
    error, _ = raised_by(HDRPatchDataset(small, **{name: Raises(ValueError("no"))}))
    (note,) = error.__notes__
    assert note.startswith(f"This happened in {name} Raises for sample ")


def test_an_error_of_this_package_in_a_function_is_not_taken_for_a_movie_that_fails(small):
    error, text = raised_by(HDRPatchDataset(small, transform=Raises(DamagedMovieError("noise.mkv", "is empty"))))
    assert isinstance(error, RuntimeError)
    assert "noise.mkv: is empty" in text
    assert "in transform Raises for sample " in text


def test_an_error_in_a_process_of_an_export_names_the_sample(small, tmp_path):
    with pytest.raises(KeyError) as caught:
        export(small, tmp_path / "out", workers=2, accept=Raises(KeyError("mask")))
    assert "This happened in accept Raises for sample " in "".join(caught.value.__notes__)


def test_an_error_in_a_transform_of_stored_samples_names_the_sample(small, tmp_path):
    export(small, tmp_path / "out", limit=2)
    error, _ = raised_by(read_shards(tmp_path / "out", transform=Raises(ValueError("no"))))
    assert "in transform Raises for sample " in error.__notes__[0]


@pytest.mark.parametrize("result", [None, 5])
def test_a_transform_that_returns_no_sample_is_named(small, tmp_path, result):
    export(small, tmp_path / "out", limit=2)
    for make in (partial(HDRPatchDataset, small), partial(read_shards, tmp_path / "out")):
        error, text = raised_by(make(transform=Gives(result)))
        assert isinstance(error, TypeError)
        assert f"transform Gives returned {type(result).__name__} for sample " in text
        assert "`return sample`" in text


class Gives:
    """Returns the same whatever it is called with."""

    def __init__(self, result: object) -> None:
        self.result = result

    def __call__(self, *_: Any) -> object:
        return self.result

    def __repr__(self) -> str:
        return "Gives"


def test_a_degradation_that_returns_no_tensor_is_named(small):
    error, text = raised_by(HDRPatchDataset(small, degrade=Gives(None)))
    assert isinstance(error, TypeError)
    assert "degrade Gives returned NoneType for sample " in text


def test_stored_samples_may_lose_any_key_in_a_transform(small, tmp_path):
    export(small, tmp_path / "out", limit=2)
    samples = list(read_shards(tmp_path / "out", transform=Gives({"gt": 1})))
    assert samples == [{"gt": 1}] * 4


def test_a_transform_of_one_argument_is_told_about_the_second(small):
    words = r"transform takes \(sample, rng\): rng is a numpy Generator seeded by the sample's address; .*\(sample\)"
    with pytest.raises(TypeError, match=words):
        HDRPatchDataset(small, transform=lambda sample: sample)
    with pytest.raises(TypeError, match=words):
        read_shards("nowhere", transform=lambda sample: sample)


@pytest.mark.parametrize(
    ("name", "function", "takes"),
    [
        ("accept", lambda sample, rng: True, r"accept takes \(sample\);"),
        ("degrade", lambda frames, scale: frames, r"degrade takes \(frames, scale, rng\): rng is a numpy Generator"),
        ("curve", lambda light: light, r"curve takes \(light, peak\);"),
        ("transform", Flip, r"transform takes \(sample, rng\)"),
        ("transform", "flip", "'flip' is not a function"),
    ],
)
def test_a_function_with_other_arguments_is_refused_at_once(small, name, function, takes):
    with pytest.raises(TypeError, match=takes):
        HDRPatchDataset(small, **{name: function})


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("transform", Flip()),
        ("transform", lambda *arguments: arguments[0]),
        ("transform", lambda sample, rng, strength=1.0: sample),
        ("transform", partial(lambda strength, sample, rng: sample, 2.0)),
        ("degrade", BI()),
        ("accept", itemgetter("key")),
        ("curve", max),  # written in C, without a signature
    ],
)
def test_a_function_that_fits_or_does_not_tell_its_arguments_is_let_through(kind, function):
    assert checked(kind, function) is function
