"""Windows are exact to the frame, whatever the container does, and whatever was asked before."""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import random
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from torch_hdrpatches.errors import DamagedMovieError, StorageError, WindowError
from torch_hdrpatches.frames import Planes, Window
from torch_hdrpatches.probe import open_movie, probe
from torch_hdrpatches.testing import MovieSpec, read_number, write_movie
from torch_hdrpatches.video import MovieReader

HEVC = MovieSpec(height=180, width=320, frames=60, keyint=24, crf=30, cuts=(31,))
H264 = replace(HEVC, codec="libx264", bits=8, transfer="bt709", scenes=HEVC.scenes)
UNEVEN = tuple(itertools.accumulate([0] + [(1, 5, 2, 9, 1, 1, 30)[n % 7] for n in range(59)]))
VFR = replace(HEVC, pts=UNEVEN, time_base=Fraction(1, 100))


@dataclass(frozen=True)
class Case:
    """A movie, and the numbers and times of the frames that are presented."""

    suffix: str
    spec: MovieSpec
    first: int = 0
    """Number of the first frame that is presented."""
    rounding: Fraction = field(default=Fraction(0))
    """Seconds by which the container may round its times."""

    @property
    def times(self) -> list[Fraction]:
        unit = self.spec.time_base or 1 / self.spec.fps
        ticks = self.spec.pts or range(self.spec.frames)
        return [tick * unit + self.spec.start for tick in ticks]


MS = Fraction(1, 1000)
CASES = {
    "hevc-open-gop-mkv": Case(".mkv", HEVC, rounding=MS),
    "hevc-open-gop-mp4": Case(".mp4", HEVC),
    "hevc-open-gop-ts": Case(".ts", HEVC, rounding=MS),
    "hevc-raw": Case(".265", HEVC),
    "hevc-closed-gop-mkv": Case(".mkv", replace(HEVC, open_gop=False), rounding=MS),
    "hevc-no-b-mp4": Case(".mp4", replace(HEVC, bframes=0)),
    "hevc-long-b-mkv": Case(".mkv", replace(HEVC, bframes=8), rounding=MS),
    "hevc-one-keyframe-mkv": Case(".mkv", replace(HEVC, keyint=600), rounding=MS),
    "hevc-vfr-mkv": Case(".mkv", VFR, rounding=MS),
    "hevc-vfr-mp4": Case(".mp4", VFR),
    "hevc-late-mp4": Case(".mp4", replace(HEVC, start=Fraction(7, 3))),
    "hevc-late-mkv": Case(".mkv", replace(HEVC, start=Fraction(3600)), rounding=MS),
    "hevc-late-ts": Case(".ts", replace(HEVC, start=Fraction(50)), rounding=MS),
    "hevc-edit-list-mp4": Case(".mp4", replace(HEVC, start=Fraction(-11, 24)), first=11),
    "hevc-edit-list-past-a-keyframe-mov": Case(".mov", replace(HEVC, start=Fraction(-26, 24)), first=26),
    "h264-open-gop-mkv": Case(".mkv", H264, rounding=MS),
    "h264-open-gop-mp4": Case(".mp4", H264),
    "h264-open-gop-ts": Case(".ts", H264, rounding=MS),
    "h264-raw": Case(".264", H264),
    "h264-without-pts-avi": Case(".avi", H264),
    "h264-vfr-mp4": Case(".mp4", replace(H264, pts=UNEVEN, time_base=Fraction(1, 100))),
    "h264-edit-list-mp4": Case(".mp4", replace(H264, start=Fraction(-11, 24)), first=11),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("video")

    def path_of(name: str) -> Path:
        case = CASES[name]
        path = folder / (name + case.suffix)
        return path if path.exists() else write_movie(path, case.spec)

    return path_of


def digest(planes: Planes) -> str:
    hashed = hashlib.sha256()
    chroma = -(-planes.height // planes.sub_y), -(-planes.width // planes.sub_x)
    for plane, (rows, columns) in [
        (planes.y, (planes.height, planes.width)),
        (planes.cb, chroma),
        (planes.cr, chroma),
    ]:
        hashed.update(np.ascontiguousarray(plane[:rows, :columns]))
    return hashed.hexdigest()


def digests(window: Window) -> list[str]:
    return [digest(planes) for planes in window.frames]


def numbers(window: Window) -> list[int]:
    return [read_number(planes.y[: planes.height, : planes.width]) for planes in window.frames]


def expected_numbers(case: Case, seconds: float, frames: int = 7) -> list[int]:
    shown = range(case.first, case.spec.frames)
    start = case.times[case.first]
    centre = min(shown, key=lambda n: (abs(case.times[n] - start - Fraction(seconds)), n))
    low = max(shown.start, min(centre - frames // 2, shown.stop - frames))
    return list(range(low, low + frames))


def times_between_frames(case: Case, count: int) -> list[float]:
    """Random times that are not so near the middle between two frames that the container's rounding decides."""
    rng, start, times = random.Random(5), case.times[case.first], case.times
    last = float(times[-1] - start)
    middles = [float((a + b) / 2 - start) for a, b in itertools.pairwise(times)]
    drawn = (rng.uniform(-0.2, last + 0.5) for _ in itertools.count())
    return list(itertools.islice((t for t in drawn if min(abs(t - m) for m in middles) > 3 * case.rounding), count))


@pytest.mark.parametrize("order", ["random", "sorted"])
@pytest.mark.parametrize("name", CASES)
def test_every_window_holds_the_frames_around_its_time(written, name, order):
    case = CASES[name]
    times = times_between_frames(case, 25)
    with open_movie(str(written(name))) as movie:
        start = Fraction(movie.facts.start)
        for seconds in times if order == "random" else sorted(times):
            window = movie.window(seconds)
            assert numbers(window) == expected_numbers(case, seconds)
            if not case.suffix.startswith(".26"):
                expected = [float(case.times[n] - case.times[case.first]) for n in numbers(window)]
                assert np.allclose([pts - float(start) for pts in window.pts], expected, atol=float(2 * case.rounding))
            assert window.seconds == pytest.approx(window.pts[3] - float(start), abs=1e-9)


@pytest.mark.parametrize("name", ["hevc-open-gop-mkv", "hevc-open-gop-ts", "hevc-raw", "h264-open-gop-mp4"])
def test_a_window_does_not_depend_on_those_before_it(written, name):
    path, times = str(written(name)), times_between_frames(CASES[name], 12)
    facts = probe(path)

    def one(seconds: float) -> list[str]:
        with open_movie(path, facts=facts) as movie:
            return digests(movie.window(seconds))

    alone = {seconds: one(seconds) for seconds in times}
    for seed in range(3):
        order = random.Random(seed).choices(times, k=20)
        with open_movie(path, facts=facts) as movie:
            assert [digests(movie.window(seconds)) for seconds in order] == [alone[seconds] for seconds in order]


@pytest.mark.parametrize("spec", [HEVC, H264])
def test_pictures_with_one_time_stamp_come_in_the_order_of_the_decoder(tmp_path, spec):
    # Matroska counts milliseconds: three pictures have each.
    path = write_movie(tmp_path / "a.mkv", replace(spec, fps=Fraction(3000)))
    rng = random.Random(3)
    with open_movie(str(path)) as movie:
        for seconds in [rng.uniform(0.002, 0.018) for _ in range(25)]:
            window = movie.window(seconds)
            found = numbers(window)
            assert found == list(range(found[0], found[0] + 7))
            assert abs(window.seconds - seconds) <= 0.001


def test_a_movie_whose_container_knows_no_duration_is_measured(written, tmp_path):
    path = tmp_path / "live.mkv"
    with (
        av.open(str(written("hevc-open-gop-mkv"))) as source,
        av.open(str(path), "w", options={"live": "1"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    with av.open(str(path)) as container:
        assert container.duration is None
    with open_movie(str(path)) as movie:
        assert movie.facts.duration == pytest.approx(60 / 24, abs=0.002)
        assert numbers(movie.window(2.0)) == list(range(45, 52))


@pytest.mark.parametrize("frames", [1, 3, 7, 15, 59, 60])
@pytest.mark.parametrize("name", ["hevc-open-gop-mkv", "hevc-vfr-mp4", "hevc-raw"])
def test_a_window_may_have_any_length(written, name, frames):
    case = CASES[name]
    with open_movie(str(written(name))) as movie:
        for seconds in times_between_frames(case, 4):
            assert numbers(movie.window(seconds, frames)) == expected_numbers(case, seconds, frames)


@pytest.mark.parametrize("name", ["hevc-open-gop-mp4", "hevc-raw"])
def test_of_two_equally_near_frames_the_earlier_is_the_centre(written, name):
    with open_movie(str(written(name))) as movie:
        assert numbers(movie.window(20.5 / 24))[3] == 20


@pytest.mark.parametrize("name", ["hevc-open-gop-mkv", "hevc-open-gop-mp4", "hevc-open-gop-ts", "hevc-raw"])
def test_the_first_and_the_last_window_are_full_and_there_is_none_behind(written, name):
    with open_movie(str(written(name))) as movie:
        assert numbers(movie.window(0)) == list(range(7))
        assert numbers(movie.window(-5)) == list(range(7))
        assert numbers(movie.window(movie.facts.duration)) == list(range(53, 60))
        assert movie.facts.duration == pytest.approx(2.5, abs=0.05)
        for seconds in (movie.facts.duration + 1.1, 3600.0):
            with pytest.raises(WindowError) as error:
                movie.window(seconds)
            assert error.value.reason == "past_end"


@pytest.mark.parametrize("suffix", [".mkv", ".265"])
def test_a_movie_of_fewer_frames_than_a_window_is_too_short(tmp_path, suffix):
    path = write_movie(tmp_path / f"short{suffix}", replace(HEVC, frames=6))
    with open_movie(str(path)) as movie:
        with pytest.raises(WindowError) as error:
            movie.window(0)
        assert error.value.reason == "too_short"
        assert numbers(movie.window(0, 5)) == [0, 1, 2, 3, 4]


# --- cost -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hevc-open-gop-mkv", "hevc-open-gop-mp4", "h264-open-gop-mp4", "hevc-open-gop-ts"])
def test_windows_in_order_decode_no_frame_twice_and_pass_over_what_nobody_needs(written, name):
    case = CASES[name]
    with open_movie(str(written(name))) as movie:
        for number in (5, 20, 35, 50):
            movie.window(float(case.times[number] - case.times[0]))
        counters = movie.counters
    assert counters.windows == 4
    assert counters.packets_fed + counters.packets_dropped <= case.spec.frames + 4
    assert counters.packets_dropped >= 6
    assert counters.frames_decoded <= counters.packets_fed
    assert counters.seeks <= 2


def test_adjacent_and_overlapping_windows_go_on_where_the_last_one_stopped(written):
    with open_movie(str(written("hevc-open-gop-mkv"))) as movie:
        for number in range(3, 57, 2):
            assert numbers(movie.window(number / 24)) == list(range(number - 3, number + 4))
        assert movie.counters.packets_fed <= 90
        assert movie.counters.seeks <= 4


def test_the_nearest_keyframe_is_sought(written):
    with open_movie(str(written("hevc-closed-gop-mkv"))) as movie:
        movie.window(52 / 24)
        assert movie.counters.packets_fed <= 60 - 48


def test_threads_give_the_same_pictures(written):
    path = str(written("hevc-open-gop-mkv"))
    with open_movie(path) as one, open_movie(path, threads=2) as two:
        for seconds in (0.4, 1.9, 1.0):
            assert digests(one.window(seconds)) == digests(two.window(seconds))


def test_given_facts_are_taken_as_they_are(written):
    path = str(written("hevc-open-gop-mp4"))
    facts = replace(probe(path), warnings=("from elsewhere",))
    with open_movie(path, facts=facts) as movie:
        assert movie.facts is facts
        assert numbers(movie.window(1.0)) == list(range(21, 28))
    assert pickle.loads(pickle.dumps(facts)) == facts


# --- planes ---------------------------------------------------------------------------------------------------------


def test_planes_stay_as_they_are_while_decoding_goes_on_and_after_closing(written):
    with open_movie(str(written("hevc-open-gop-mkv"))) as movie:
        window = movie.window(0.5)
        before = digests(window)
        for seconds in (0.7, 1.5, 0.1, 2.0):
            movie.window(seconds)
        assert digests(window) == before
    assert digests(window) == before
    with pytest.raises(ValueError, match="read-only"):
        window.frames[0].y[0, 0] = 1


@pytest.mark.parametrize(
    ("changes", "sub", "bits"),
    [
        ({}, (2, 2), 10),
        ({"bits": 8, "transfer": "bt709"}, (2, 2), 8),
        ({"chroma": "422"}, (1, 2), 10),
        ({"chroma": "444", "bits": 12}, (1, 1), 12),
        ({"chroma": "444", "matrix": "rgb"}, (1, 1), 10),
    ],
)
def test_planes_are_those_of_the_decoder(tmp_path, changes, sub, bits):
    path = write_movie(tmp_path / "a.mkv", replace(HEVC, frames=9, **changes))
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    with open_movie(str(path)) as movie:
        window = movie.window(4 / 24)
    for planes, frame in zip(window.frames, frames[1:8], strict=True):
        assert (planes.height, planes.width, planes.sub_y, planes.sub_x, planes.bits) == (180, 320, *sub, bits)
        for plane, expected in zip((planes.y, planes.cb, planes.cr), frame.planes, strict=True):
            assert bytes(memoryview(plane).cast("B")) == bytes(expected)


# --- damage ---------------------------------------------------------------------------------------------------------


def remuxed(source: Path, target: Path, damage: dict[int, str]) -> Path:
    """Copy a movie; packets by decoding order are ``lost``, ``cut`` in half or ``zeroed`` from the middle on."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for number, packet in enumerate(reader.demux(video=0)):
            if packet.dts is None and packet.pts is None:
                continue
            data, kind = bytes(packet), damage.get(number)
            if kind == "lost":
                continue
            if kind == "cut":
                data = data[: len(data) // 2]
            if kind == "zeroed":
                data = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
            copy = av.Packet(data)
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.is_keyframe, copy.stream = packet.is_keyframe, stream
            writer.mux(copy)
    return target


def outcomes(movie: MovieReader, order: list[int]) -> dict[int, list[str] | str]:
    found: dict[int, list[str] | str] = {}
    for number in order:
        try:
            found[number] = digests(movie.window(number / 24))
        except WindowError as error:
            found[number] = error.reason
    return found


# Damage within a picture is seen where the decoder sees it: always where data are missing, mostly where they are wrong.
@pytest.mark.parametrize(
    ("name", "kind"),
    [("hevc-open-gop-mp4", "cut"), ("hevc-open-gop-mp4", "zeroed"), ("h264-open-gop-mp4", "cut")],
)
@pytest.mark.parametrize("at", [3, 27, 29])
def test_damage_costs_the_windows_that_touch_it_and_changes_no_other(written, tmp_path, name, kind, at):
    whole = written(name)
    broken = remuxed(whole, tmp_path / "broken.mp4", {at: kind})
    order = list(range(3, 57))
    with open_movie(str(whole)) as movie:
        truth = outcomes(movie, order)
    runs = []
    for seed in (0, 1, None):
        shuffled = order if seed is None else random.Random(seed).sample(order, len(order))
        with open_movie(str(broken)) as movie:
            runs.append(outcomes(movie, shuffled))
    assert runs[0] == runs[1] == runs[2]
    assert {number for number, found in runs[0].items() if found == "undecodable"}
    good = {number: found for number, found in runs[0].items() if found != "undecodable"}
    assert good == {number: truth[number] for number in good}
    assert len(good) >= 15


def check_damage_is_told(whole: Path, broken: Path, numbers: range) -> None:
    """Some windows of the damaged movie are refused, and all others hold pictures of the whole one."""
    with open_movie(str(whole)) as movie:
        truth = {planes for found in outcomes(movie, list(range(3, 57))).values() for planes in found}
    with open_movie(str(broken)) as movie:
        found = outcomes(movie, list(numbers))
    assert "undecodable" in found.values()
    for planes in found.values():
        assert planes == "undecodable" or set(planes) <= truth


def test_a_lost_reference_is_never_papered_over(written, tmp_path):
    whole = written("hevc-open-gop-mkv")
    broken = remuxed(whole, tmp_path / "broken.mkv", {25: "lost", 2: "lost"})
    check_damage_is_told(whole, broken, range(3, 55))


@pytest.mark.parametrize("name", ["hevc-open-gop-mkv", "hevc-open-gop-mp4", "hevc-open-gop-ts", "h264-open-gop-mp4"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_hole_of_zeros_in_a_file_is_never_taken_for_a_picture(written, tmp_path, name, share):
    data = bytearray(written(name).read_bytes())
    at = int(len(data) * share)
    data[at : at + 600] = bytes(600)
    path = tmp_path / f"hole{CASES[name].suffix}"
    path.write_bytes(data)
    check_damage_is_told(written(name), path, range(3, 57))


def test_a_stream_refreshed_piece_by_piece_is_decoded_from_its_one_keyframe(tmp_path):
    path = tmp_path / "refresh.mkv"
    plain = write_movie(tmp_path / "a.mkv", H264)
    with av.open(str(plain)) as reader, av.open(str(path), "w") as out:
        options = {"x264-params": "intra-refresh=1:keyint=12", "preset": "superfast"}
        stream = out.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.color_trc = stream.codec_context.color_primaries = stream.codec_context.colorspace = 1
        for frame in reader.decode(video=0):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(path)) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0)]
    assert sum(keys) > 3, "no recovery points"
    times = random.Random(0).sample(range(3, 57), 20)
    with open_movie(str(path)) as movie:
        assert [numbers(movie.window(n / 24)) for n in times] == [list(range(n - 3, n + 4)) for n in times]


def test_a_truncated_movie_ends_where_its_data_ends(written, tmp_path):
    data = written("hevc-open-gop-mkv").read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(data[: len(data) * 6 // 10])
    with open_movie(str(path)) as movie:
        assert 0.5 < movie.facts.duration < 2.2
        assert numbers(movie.window(0.3)) == list(range(4, 11))
        with pytest.raises(WindowError) as error:
            movie.window(movie.facts.duration + 1.2)
        assert error.value.reason == "past_end"


def test_a_file_cut_before_its_first_picture_is_damaged(written, tmp_path):
    path = tmp_path / "cut.mkv"
    path.write_bytes(written("hevc-open-gop-mkv").read_bytes()[:900])
    with pytest.raises(DamagedMovieError):
        open_movie(str(path))


def test_a_file_that_shrinks_while_it_is_read_is_an_error_of_the_storage(tmp_path):
    path = write_movie(tmp_path / "a.mkv", replace(HEVC, frames=150, crf=4, keyint=600))
    assert path.stat().st_size > 500_000
    with open_movie(str(path)) as movie:
        assert numbers(movie.window(0)) == list(range(7))
        os.truncate(path, 100_000)
        with pytest.raises(StorageError, match=r"a\.mkv: was changed while it was read"):
            movie.window(5.0)


def test_a_transport_stream_that_starts_in_the_middle_of_a_gop_begins_with_its_first_keyframe(written, tmp_path):
    data = written("hevc-open-gop-ts").read_bytes()
    path = tmp_path / "tail.ts"
    path.write_bytes(data[len(data) // 4 // 188 * 188 :])
    with open_movie(str(path)) as movie:
        window = movie.window(0)
        first = numbers(window)[0]
        assert first >= 24
        assert numbers(window) == list(range(first, first + 7))
        assert numbers(movie.window(1.0))[3] == first + 24


@pytest.mark.parametrize("change", [{"height": 270, "width": 480}, {"chroma": "444"}])
def test_a_change_of_size_or_sampling_is_told(tmp_path, change):
    small = write_movie(tmp_path / "a.264", replace(H264, frames=30))
    large = write_movie(tmp_path / "b.264", replace(H264, frames=30, **change))
    path = tmp_path / "both.264"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    with open_movie(str(path)) as movie:
        assert numbers(movie.window(0.5)) == list(range(9, 16))
        for seconds in (29 / 24, 2.0):
            with pytest.raises(WindowError) as error:
                movie.window(seconds)
            assert error.value.reason == "size_change"


def test_counters_are_plain_numbers(written):
    with open_movie(str(written("hevc-open-gop-mkv"))) as movie:
        movie.window(1.0)
        assert all(isinstance(count, int) and count > 0 for count in asdict(movie.counters).values())
