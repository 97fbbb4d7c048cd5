"""A decoder that does not return costs its movie, and nobody waits for ever."""

from __future__ import annotations

import threading
import weakref

import pytest

from torch_hdrpatches.errors import DamagedMovieError
from torch_hdrpatches.probe import movie_facts
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.video import movie
from torch_hdrpatches.video.movie import TimedCall


def test_a_call_that_returns_gives_its_result_or_its_error():
    assert TimedCall(lambda: 7).result(60) == 7
    with pytest.raises(ZeroDivisionError):
        TimedCall(lambda: 1 // 0).result(60)


def test_a_call_that_does_not_return_is_given_up():
    release = threading.Event()
    call = TimedCall(release.wait)
    with pytest.raises(TimeoutError, match=r"0\.05 s"):
        call.result(0.05)
    assert call.is_alive()
    release.set()
    assert call.result(60)


def test_an_error_keeps_nothing_alive():
    call = TimedCall(lambda: 1 // 0)
    alive = weakref.ref(call)
    with pytest.raises(ZeroDivisionError):
        call.result(60)
    del call
    assert alive() is None


def test_a_movie_that_cannot_be_looked_into_is_given_up(movies, monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(movie_facts, "first_frame", lambda decoder: release.wait())
    monkeypatch.setattr(movie_facts, "PROBE_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(DamagedMovieError, match=r"pq\.mkv: probing gave no answer within 0\.5 s"):
        movie_facts.probe(str(movies / "pq.mkv"))
    release.set()


def test_a_decoder_that_does_not_return_costs_that_movie_only(recipe, movies, monkeypatch):
    release = threading.Event()
    reader = movie.SeekingReader
    frames = reader.frames

    def hanging(self, seconds, count):
        if self._decoder.path.endswith("pq.mkv"):
            release.wait()
        return frames(self, seconds, count)

    monkeypatch.setattr(reader, "frames", hanging)
    monkeypatch.setattr(movie, "WINDOW_TIMEOUT_SECONDS", 0.5)
    stream = PatchStream(recipe)
    outcomes = [outcome for run in stream.plan for outcome in stream.run(0, run)]
    release.set()
    assert all(
        isinstance(o.failure, DamagedMovieError) and "0.5 s" in str(o.failure) for o in outcomes if o.movie == "pq"
    )
    assert all(o.samples for o in outcomes if o.movie == "hlg")
