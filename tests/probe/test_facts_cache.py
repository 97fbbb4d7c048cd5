"""Facts are looked up once per file, and a changed file is another file."""

from __future__ import annotations

import os

import pytest

from torch_hdrpatches.errors import MovieError
from torch_hdrpatches.probe import known_facts, probe
from torch_hdrpatches.probe.facts_cache import cache_folder
from torch_hdrpatches.probe.verdict import verdict_on


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("name", ["pq.mkv", "hlg.mp4"])
def test_known_facts_are_those_of_a_probe_both_times(movies, name):
    path = str(movies / name)
    assert known_facts(path) == known_facts(path) == probe(path)
    assert len(list(cache_folder().glob("*.facts"))) == 1


def test_a_changed_file_and_other_assumptions_are_looked_at_anew(movies, tmp_path):
    path = tmp_path / "movie.mkv"
    path.write_bytes((movies / "pq.mkv").read_bytes())
    known_facts(str(path))
    os.utime(path, ns=(0, 0))
    known_facts(str(path))
    known_facts(str(path), {"range": "tv"})
    assert len(list(cache_folder().glob("*.facts"))) == 3


DAMAGES = {
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "truncated": lambda data: data[: len(data) // 2],
    "zeros at its end": lambda data: data[:-16] + bytes(16),
    "foreign": lambda data: b'{"width": 640}',
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_file_is_made_anew_without_a_word(movies, caplog, damage):
    path = str(movies / "pq.mkv")
    facts = known_facts(path)
    (file,) = cache_folder().iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert known_facts(path) == facts
    assert file.read_bytes() == whole
    assert caplog.text == ""


def test_a_cache_file_under_the_name_of_another_movie_is_not_believed(movies):
    for name in ("pq.mkv", "hlg.mp4"):
        known_facts(str(movies / name))
    first, second = cache_folder().iterdir()
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    for name in ("pq.mkv", "hlg.mp4"):
        assert known_facts(str(movies / name)).path == str(movies / name)


def test_without_a_place_to_keep_them_facts_are_found_all_the_same(movies, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert known_facts(str(movies / "pq.mkv")).width == 640
    assert "cannot be" in caplog.text


def test_a_movie_that_gives_nothing_is_not_remembered(tmp_path):
    (tmp_path / "bad.mkv").write_bytes(b"nothing")
    with pytest.raises(MovieError):
        known_facts(str(tmp_path / "bad.mkv"))
    assert not cache_folder().exists()


def test_a_verdict_says_how_far_apart_keyframes_are(movies):
    verdict = verdict_on(str(movies / "pq.mkv"))
    assert verdict.text == "usable"
    assert verdict.keyframe_seconds == pytest.approx(1.0, abs=0.05)
    assert verdict.to_json()["usable"] is True


def test_a_verdict_on_what_is_no_movie_has_reason_and_no_facts(tmp_path):
    (tmp_path / "bad.mkv").write_bytes(b"nothing")
    verdict = verdict_on(str(tmp_path / "bad.mkv"))
    assert (verdict.facts, verdict.to_json()["usable"]) == (None, False)
    assert verdict.text.startswith("refused: ")
