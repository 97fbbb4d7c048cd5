"""Errors of disks and of the system never count as damage of a movie, and what is no regular file is never opened."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.helpers.read_faults import ERRORS, LASTING, MOMENTARY, Calls, call_count, digest, disturbed, recipe_for
from tests.helpers.read_faults import round_of as disturbed_round
from torch_hdrpatches import HDRPatchDataset, export
from torch_hdrpatches.errors import DamagedMovieError, MovieOpenError, StorageError
from torch_hdrpatches.probe import probe
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.video import container, movie_file
from torch_hdrpatches.video.movie import TimedCall
from torch_hdrpatches.video.movie_file import MovieFile


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return recipe_for(tmp_path)


def test_reading_gives_the_bytes_of_the_file(movies):
    data = (movies / "pq.mkv").read_bytes()
    with MovieFile(str(movies / "pq.mkv")) as file:
        assert file.read(100) == data[:100]
        assert file.seek(-50, os.SEEK_END) == file.tell() == len(data) - 50
        assert file.read(100) + file.read(100) == data[-50:]


@pytest.mark.parametrize("count", [MOMENTARY, LASTING], ids=["momentary", "lasting"])
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_while_reading_passes_or_stops_the_run_but_is_no_property_of_the_movie(tiny, tmp_path, name, count):
    wanted, calls = digest(PatchStream(tiny)), call_count(tiny, tmp_path)
    for first in (
        0,
        1,
        2 + ERRORS.index(name) * (calls - 4) // len(ERRORS),
        calls - 1,
    ):  # all: tests/helpers/read_faults
        disturbed_round(tiny, tmp_path, wanted, name, first, count)


def test_a_movie_that_is_away_for_a_moment_is_waited_for(tiny, tmp_path, monkeypatch):
    wanted, stream = digest(PatchStream(tiny)), PatchStream(tiny)
    path = tmp_path / "tiny.mkv"
    monkeypatch.setattr(movie_file, "PAUSES", (0.2, 5.0))
    path.rename(tmp_path / "away")
    back = threading.Timer(0.5, (tmp_path / "away").rename, [path])
    back.start()
    assert digest(stream) == wanted
    back.join()


def test_a_movie_that_stays_away_is_an_error_of_the_storage_that_says_so(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(movie_file, "PAUSES", (0.0,))
    stream = PatchStream(tiny)
    (tmp_path / "tiny.mkv").rename(tmp_path / "away")
    with pytest.raises(StorageError, match=r"tiny\.mkv: cannot be read after 2 attempts \(.*No such file"):
        digest(stream)


def test_a_movie_replaced_while_it_is_read_is_told(tiny, tmp_path):
    path = tmp_path / "tiny.mkv"
    with disturbed(Calls(errno.ESTALE, 2, 1)), MovieFile(str(path)) as file:
        file.read(10)
        os.utime(path, ns=(0, 0))
        with pytest.raises(StorageError, match="was changed while it was read"):
            file.read(10)
        assert file.read(10) == b""
        with pytest.raises(StorageError, match="was changed"):
            file.check()


def test_the_limit_of_open_files_is_named(tiny, monkeypatch):
    monkeypatch.setattr(movie_file, "PAUSES", ())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(StorageError, match=r"Too many open files\); allow more open files \(ulimit -n\)"):
            MovieFile(tiny["movies"][0]["path"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_lack_of_memory_is_said_as_such_and_absurd_demands_of_a_movie_are_damage(monkeypatch):
    error = OSError(errno.ENOMEM, "Cannot allocate memory")
    container.refuse_shortage("a.mkv", error)  # there is enough: the movie asks for too much
    monkeypatch.setattr(container, "ORDINARY_BYTES", 1 << 62)
    with pytest.raises(StorageError, match=r"a\.mkv: out of memory"):
        container.refuse_shortage("a.mkv", error)


@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "link to nothing", "loop"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "a.mkv"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to("nothing" if kind == "link to nothing" else "a.mkv")
    began = time.monotonic()
    with pytest.raises(MovieOpenError, match=r"a\.mkv: (is not a regular file|cannot be opened \([A-Z])"):
        probe(path)
    assert time.monotonic() - began < 5


def test_a_stream_goes_on_without_what_is_no_movie_file(tiny, tmp_path):
    (tmp_path / "folder.mkv").mkdir()
    os.mkfifo(tmp_path / "pipe.mkv")
    (tmp_path / "link.mkv").symlink_to("nothing")
    wanted = list(HDRPatchDataset(tiny))
    tiny["movies"] = [{"path": str(tmp_path / "*.mkv"), "categories": ["one"]}]
    assert [sample["key"] for sample in HDRPatchDataset(tiny) if sample["movie"] == "tiny"] == [
        s["key"] for s in wanted
    ]
    export(tiny, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    failures = {name: movie["failure"].partition(".mkv: ")[2] for name, movie in manifest["movies"].items()}
    irregular = "is not a regular file"
    assert failures == {
        "tiny": "",
        "folder": irregular,
        "pipe": irregular,
        "link": "cannot be opened (No such file or directory)",
    }


def test_a_movie_that_can_be_opened_again_is_another_identity(tiny, tmp_path):
    path = tmp_path / "tiny.mkv"
    before = HDRPatchDataset(tiny).fingerprint()
    path.rename(tmp_path / "away")
    path.mkdir()
    assert HDRPatchDataset(tiny).fingerprint()["movies.tiny.file.unusable"] == "is not a regular file"
    path.rmdir()
    (tmp_path / "away").rename(path)
    assert HDRPatchDataset(tiny).fingerprint() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_says_so(tmp_path):
    path = tmp_path / "a.mkv"
    path.write_bytes(b"1")
    path.chmod(0)
    with pytest.raises(MovieOpenError, match="Permission denied"):
        probe(path)


@pytest.mark.parametrize("reading", [True, False])
def test_a_timeout_blames_what_is_waited_for(movies, monkeypatch, reading):
    release = threading.Event()

    class Hanging(movie_file._RegularFile):
        def read(self, size=-1):
            release.wait()
            return super().read(size)

    if reading:
        monkeypatch.setattr(movie_file, "_open_regular", Hanging)
    else:
        monkeypatch.setattr("torch_hdrpatches.probe.movie_facts.first_frame", lambda decoder: release.wait())
    monkeypatch.setattr("torch_hdrpatches.probe.movie_facts.PROBE_TIMEOUT_SECONDS", 0.3)
    with pytest.raises(StorageError if reading else DamagedMovieError, match=r"no answer within 0\.3 s"):
        probe(movies / "pq.mkv")
    release.set()


STOPPED = """
import time
from torch_hdrpatches.video.movie import TimedCall
end = time.monotonic() + 5
print("started", flush=True)
print(TimedCall(lambda: time.sleep(max(0, end - time.monotonic())) or "in time").result(3))
"""


def test_time_in_which_the_process_is_stopped_does_not_count():
    with subprocess.Popen([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "started\n"
        time.sleep(1)
        process.send_signal(signal.SIGSTOP)
        time.sleep(3.7)
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=60)[0] == "in time\n"


def test_time_in_which_the_process_runs_counts():
    release = threading.Event()
    with pytest.raises(TimeoutError, match=r"1\.2 s"):
        TimedCall(release.wait).result(1.2)
    release.set()
