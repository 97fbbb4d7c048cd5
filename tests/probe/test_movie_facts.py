"""What a movie is said to be is what its pictures and packets show; what cannot be used is refused with the reason."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from torch_hdrpatches.errors import (
    DamagedMovieError,
    MovieError,
    MovieOpenError,
    RecipeError,
    StorageError,
    UnsupportedMovieError,
    UntaggedMovieError,
)
from torch_hdrpatches.frames import Box, ColorTags
from torch_hdrpatches.probe import probe
from torch_hdrpatches.probe.metadata import Metadata, _dolby_profile
from torch_hdrpatches.probe.movie_facts import _dolby_vision, _oddities
from torch_hdrpatches.probe.scan import EDGE, active_area
from torch_hdrpatches.testing import HDR10, HLG, SDR, MovieSpec, write_movie
from torch_hdrpatches.video import Facts
from torch_hdrpatches.video.decoder import Decoder

SMALL = replace(HDR10, height=180, width=320, frames=24, crf=30)
UNKNOWN = ColorTags("unknown", "unknown", "unknown", "tv")


def facts_of(folder: Path, spec: MovieSpec, suffix: str = ".mkv", **arguments) -> Facts:
    return probe(str(write_movie(folder / f"movie{suffix}", spec)), **arguments)


# --- what it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".ts", ".265"])
def test_every_container_tells_the_same_movie(tmp_path, suffix):
    facts = facts_of(tmp_path, replace(SMALL, max_cll=800, max_fall=250, mastering_peak=4000), suffix)
    assert (facts.codec, facts.height, facts.width, facts.bits, facts.chroma) == ("hevc", 180, 320, 10, "420")
    assert facts.tags == ColorTags("pq", "bt2020", "bt2020nc", "tv", "left")
    assert (facts.mastering_peak, facts.max_cll, facts.max_fall) == (4000.0, 800.0, 250.0)
    assert facts.fps == pytest.approx(24, abs=0.01)
    assert facts.duration == pytest.approx(1.0, abs=0.05)
    assert facts.active == Box(0, 0, 180, 320)
    assert (facts.dolby_vision, facts.hdr10_plus, facts.rotation, facts.sample_aspect_ratio) == ("", False, 0, (1, 1))
    assert facts.warnings == ()


@pytest.mark.parametrize(
    ("spec", "tags", "bits", "chroma"),
    [
        (replace(HLG, bits=10), ("hlg", "bt2020", "bt2020nc", "tv"), 10, "420"),
        (SDR, ("bt709", "bt709", "bt709", "tv"), 8, "420"),
        (replace(SDR, range="pc"), ("bt709", "bt709", "bt709", "pc"), 8, "420"),
        (replace(HDR10, chroma="422"), ("pq", "bt2020", "bt2020nc", "tv"), 10, "422"),
        (replace(HDR10, chroma="444", bits=12), ("pq", "bt2020", "bt2020nc", "tv"), 12, "444"),
        (replace(HDR10, chroma="444", matrix="rgb"), ("pq", "bt2020", "rgb", "tv"), 10, "gbr"),
        (replace(HDR10, primaries="smpte432"), ("pq", "smpte432", "bt2020nc", "tv"), 10, "420"),
    ],
)
def test_pictures_are_known_by_their_tags(tmp_path, spec, tags, bits, chroma):
    facts = facts_of(tmp_path, replace(spec, height=180, width=320, frames=9, crf=30))
    found = facts.tags
    assert (found.transfer, found.primaries, found.matrix, found.range) == tags
    assert (facts.bits, facts.chroma) == (bits, chroma)


@pytest.mark.parametrize("location", ["left", "center", "topleft", "top", "bottomleft", "bottom"])
def test_the_chroma_location_is_read(tmp_path, location):
    assert facts_of(tmp_path, replace(SMALL, chroma_location=location)).tags.chroma_location == location


def test_two_threads_read_the_chroma_location_side_by_side(tmp_path):
    path = str(write_movie(tmp_path / "a.mkv", replace(SMALL, frames=9, chroma_location="topleft")))
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(probe(path).tags.chroma_location)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["topleft"] * 6


@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_rotation_is_clockwise(tmp_path, clockwise):
    assert facts_of(tmp_path, replace(SMALL, rotation=-clockwise), ".mp4").rotation == clockwise


def test_pixels_that_are_not_square_are_told(tmp_path):
    facts = facts_of(tmp_path, replace(SMALL, sample_aspect_ratio=Fraction(4, 3)))
    assert facts.sample_aspect_ratio == (4, 3)
    assert "not square (4:3)" in facts.warnings[0]


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize("start", [0, Fraction(7, 3)])
def test_start_is_the_time_stamp_of_the_first_picture(tmp_path, suffix, start):
    facts = facts_of(tmp_path, replace(SMALL, start=Fraction(start)), suffix)
    with av.open(facts.path) as container:
        stream = container.streams.video[0]
        times = [frame.pts * stream.time_base for frame in container.decode(stream)]
    assert facts.start == float(times[0])
    assert facts.duration == pytest.approx(float(times[-1] - times[0]) + 1 / 24, abs=0.002)


def test_pictures_hidden_by_an_edit_list_do_not_count(tmp_path):
    facts = facts_of(tmp_path, replace(SMALL, start=Fraction(-5, 24)), ".mp4")
    assert facts.start == 0
    assert facts.duration == pytest.approx(19 / 24, abs=0.002)


def test_facts_are_plain_data(tmp_path):
    facts = facts_of(tmp_path, SMALL)
    assert json.loads(json.dumps(asdict(facts)))["tags"]["transfer"] == "pq"
    assert pickle.loads(pickle.dumps(facts)) == facts
    assert probe(facts.path) == facts


# --- black bars -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bars", [(22, 22, 0, 0), (0, 0, 40, 40), (30, 30, 10, 10)])
@pytest.mark.parametrize("suffix", [".mkv", ".265"])
def test_black_bars_are_found(tmp_path, bars, suffix):
    facts = facts_of(tmp_path, replace(SMALL, bars=bars, keyint=6, crf=18), suffix)
    area = facts.active
    margins = area.top, 180 - area.top - area.height, area.left, 320 - area.left - area.width
    assert margins == tuple(bar + EDGE if bar else 0 for bar in bars)


def noisy(rows: slice, columns: slice) -> np.ndarray:
    rng = np.random.default_rng(0)
    luma = rng.integers(60, 72, (90, 160)).astype(np.uint16)
    luma[rows, columns] = 500
    return luma


def test_the_active_area_holds_what_is_lit_in_any_picture():
    halves = [noisy(np.s_[10:40], np.s_[5:155])] * 2 + [noisy(np.s_[30:80], np.s_[5:155])] * 2
    assert active_area(halves, 64, 10) == Box(10 + EDGE, 5 + EDGE, 70 - 2 * EDGE, 150 - 2 * EDGE)


def test_noise_and_stray_pixels_make_no_picture():
    luma = noisy(np.s_[10:80], np.s_[:])
    luma[2, 33] = 900
    assert active_area([luma] * 4, 64, 10) == Box(10 + EDGE, 0, 70 - 2 * EDGE, 160)


def test_with_few_pictures_only_bars_on_both_sides_are_bars():
    assert active_area([noisy(np.s_[10:90], np.s_[4:150])], 64, 10) == Box(0, 4 + EDGE, 90, 152 - 2 * EDGE)


def test_darkness_is_no_bar():
    assert active_area([noisy(np.s_[0:0], np.s_[0:0])] * 5, 64, 10) == Box(0, 0, 90, 160)
    assert active_area([noisy(np.s_[40:45], np.s_[:])] * 5, 64, 10) == Box(0, 0, 90, 160)


# --- tags -----------------------------------------------------------------------------------------------------------


def test_an_untagged_movie_is_refused_and_the_missing_tags_are_named(tmp_path):
    with pytest.raises(UntaggedMovieError, match=r'transfer, primaries, matrix.*assume = \{ transfer = "pq"'):
        facts_of(tmp_path, replace(SMALL, tags=UNKNOWN))
    with pytest.raises(UntaggedMovieError, match=r'no primaries; .*assume = \{ primaries = "bt2020" \}'):
        facts_of(tmp_path, replace(SMALL, tags=ColorTags("pq", "unknown", "bt2020nc", "tv")))


def test_what_is_assumed_fills_only_what_is_missing(tmp_path):
    assume = {"transfer": "smpte2084", "primaries": "bt2020", "matrix": "bt709", "range": "pc"}
    tags = ColorTags("unknown", "smpte432", "unknown", "tv")
    found = facts_of(tmp_path, replace(SMALL, tags=tags), assume=assume).tags
    assert (found.transfer, found.primaries, found.matrix, found.range) == ("pq", "smpte432", "bt709", "tv")


def test_an_unset_range_is_limited(tmp_path):
    spec = replace(SMALL, tags=ColorTags("pq", "bt2020", "bt2020nc", "unknown"))
    assert facts_of(tmp_path, spec).tags.range == "tv"


@pytest.mark.parametrize(
    "assume",
    [{"transfer": "gamma"}, {"matrix": "ictcp"}, {"peak": "1000"}, {"scan": "interlaced"}],
)
def test_what_cannot_be_assumed_is_an_error_of_the_recipe(tmp_path, assume):
    path = write_movie(tmp_path / "a.mkv", replace(SMALL, frames=3))
    with pytest.raises(RecipeError, match="assume"):
        probe(str(path), assume=assume)


@pytest.mark.parametrize("field", ["matrix", "transfer", "primaries"])
def test_colours_that_cannot_be_converted_are_refused_by_name(tmp_path, field):
    name = {"matrix": "bt2020c", "transfer": "linear", "primaries": "film"}[field]
    spec = replace(SMALL, tags=replace(ColorTags("pq", "bt2020", "bt2020nc", "tv"), **{field: name}))
    with pytest.raises(UnsupportedMovieError, match=f"{field} '{name}'"):
        facts_of(tmp_path, spec)


def test_where_the_container_disagrees_the_pictures_are_believed(tmp_path):
    path = write_movie(tmp_path / "a.mp4", SMALL)
    data = bytearray(path.read_bytes())
    at = data.index(b"colrnclx") + 8
    assert data[at : at + 6] == struct.pack(">3H", 9, 16, 9)
    data[at : at + 6] = struct.pack(">3H", 1, 1, 1)
    path.write_bytes(data)
    facts = probe(str(path))
    assert facts.tags.transfer == "pq"
    assert [warning for warning in facts.warnings if "container says transfer bt709, the pictures say pq" in warning]
    assert len(facts.warnings) == 3


@pytest.mark.parametrize(("peak", "found"), [(0.1, 0.0), (1000, 1000.0)])
def test_a_peak_that_makes_no_sense_is_unknown_and_told(tmp_path, peak, found):
    facts = facts_of(tmp_path, replace(SMALL, mastering_peak=peak))
    assert facts.mastering_peak == found
    assert ["makes no sense" in warning for warning in facts.warnings] == ([] if found else [True])


def test_an_implausible_max_cll_is_kept_and_the_peak_used_instead_is_told(tmp_path):
    facts = facts_of(tmp_path, replace(SMALL, max_cll=30, mastering_peak=4000))
    assert (facts.max_cll, facts.mastering_peak) == (30, 4000)
    (warning,) = facts.warnings
    assert "MaxCLL of 30 cd/m2" in warning
    assert "4000 cd/m2" in warning


@pytest.mark.parametrize(("transfer", "warnings"), [("pq", 1), ("hlg", 1), ("bt709", 0)])
def test_only_hdr_movies_need_a_plausible_peak(tmp_path, transfer, warnings):
    facts = facts_of(tmp_path, replace(SMALL, frames=3))
    facts = replace(facts, tags=replace(facts.tags, transfer=transfer), max_cll=30.0, mastering_peak=0.0)
    with Decoder(facts.path) as decoder:
        assert len(list(_oddities(decoder, facts, {}, {}))) == warnings


def test_light_levels_of_zero_are_unknown(tmp_path):
    facts = facts_of(tmp_path, replace(SMALL, max_cll=0, max_fall=0))
    assert (facts.max_cll, facts.max_fall) == (0.0, 0.0)
    assert facts.mastering_peak == 1000.0


def with_streams(path: Path, *sources: Path, cover: int = -1) -> Path:
    """One file with the video of several; the one numbered ``cover`` is a cover picture."""
    with ExitStack() as stack:
        target = stack.enter_context(av.open(str(path), "w"))
        containers = [stack.enter_context(av.open(str(source))) for source in sources]
        streams = [target.add_stream_from_template(container.streams.video[0]) for container in containers]
        if cover >= 0:
            streams[cover].disposition = Disposition.attached_pic
        for container, stream in zip(containers, streams, strict=True):
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    return path


def test_of_several_video_streams_the_largest_is_used_and_the_others_are_told(tmp_path):
    small = write_movie(tmp_path / "small.mkv", replace(SMALL, height=96, width=128))
    large = write_movie(tmp_path / "large.mkv", SMALL)
    facts = probe(str(with_streams(tmp_path / "both.mkv", small, large)))
    assert (facts.stream, facts.width) == (1, 320)
    assert "it has other video streams (0); stream 1 is used" in facts.warnings


def test_a_cover_picture_is_no_movie(tmp_path):
    movie = write_movie(tmp_path / "movie.mp4", SMALL)
    cover = encoded(tmp_path / "cover.mkv", "mjpeg", "yuvj420p", {}, frames=1)
    both = with_streams(tmp_path / "both.mp4", cover, movie, cover=0)
    with av.open(str(both)) as container:
        assert sorted(stream.codec_context.name for stream in container.streams.video) == ["hevc", "mjpeg"]
    facts = probe(str(both))
    assert (facts.codec, facts.width, facts.warnings) == ("hevc", 320, ())


def rpu(profile: int, *, full_range: int = 0, vdr_bits: int = 12, enhancement: int = 0, no_residual: int = 0) -> bytes:
    """FFmpeg's AVDOVIMetadata as far as its AVDOVIRpuDataHeader, which begins at byte 24."""
    header = (2, 18, profile, 0, 0, 0, 23, 1, full_range, 10, 10, vdr_bits, 0, enhancement, no_residual)
    return struct.pack("<Q16xBxH13B", 24, *header)


@pytest.mark.parametrize(
    ("payload", "profile"),
    [
        (b"", 0),
        (rpu(0, full_range=1), 5),
        (rpu(0), 4),
        (rpu(1, enhancement=1), 7),
        (rpu(1, enhancement=1, vdr_bits=10), 4),
        (rpu(1, enhancement=1, no_residual=1), 8),
        (rpu(1), 8),
    ],
)
def test_dolby_vision_profiles_are_told_apart_by_their_headers(payload, profile):
    assert _dolby_profile(payload) == profile


@pytest.mark.parametrize(
    ("codec", "found", "transfer", "profile"),
    [
        ("libx265", 0, "pq", ""),
        ("libx265", 7, "pq", "7"),
        ("libx265", 8, "pq", "8.1"),
        ("libx265", 8, "bt709", "8.2"),
        ("libx265", 8, "hlg", "8.4"),
        ("libsvtav1", 8, "pq", "10.1"),
        ("libsvtav1", 8, "hlg", "10.4"),
        ("libx265", 5, "unknown", "refused: 5"),
        ("libx265", 4, "pq", "refused: 4"),
        ("libsvtav1", 5, "unknown", "refused: 10.0"),
    ],
)
def test_dolby_vision_with_a_base_layer_is_used_and_without_is_refused(tmp_path, codec, found, transfer, profile):
    path = str(encoded(tmp_path / "a.mp4", codec, "yuv420p10le", {}, frames=3))
    metadata = Metadata({"transfer": transfer}, 0.0, 0.0, 0.0, found, hdr10_plus=False, warnings=())
    with Decoder(path) as decoder:
        if profile.startswith("refused"):
            with pytest.raises(UnsupportedMovieError, match=f"profile {profile[9:]} has no HDR10.*apply_dolbyvision"):
                _dolby_vision(path, decoder, metadata)
        else:
            assert _dolby_vision(path, decoder, metadata) == profile


# --- what is refused ------------------------------------------------------------------------------------------------


def encoded(
    path: Path, codec: str, pixel_format: str, options: dict[str, str], frames: int = 12, **muxing: str
) -> Path:
    with av.open(str(path), "w", options=muxing) as container:
        stream = container.add_stream(codec, rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 180, pixel_format
        for number in range(frames):
            frame = av.VideoFrame(320, 180, "gray")
            for plane in frame.planes:
                plane.update(bytes([number * 7 % 256]) * plane.buffer_size)
            frame = frame.reformat(format=pixel_format)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


BT709 = {"transfer": "bt709", "primaries": "bt709", "matrix": "bt709"}


def test_interlaced_pictures_are_refused_unless_said_to_be_progressive(tmp_path):
    path = encoded(tmp_path / "a.mkv", "libx264", "yuv420p", {"x264-params": "tff=1"})
    with pytest.raises(UnsupportedMovieError, match=r'interlaced.*scan = "progressive"'):
        probe(str(path), assume=BT709)
    assert probe(str(path), assume={**BT709, "scan": "progressive"}).codec == "h264"


@pytest.mark.parametrize(("codec", "pixel_format"), [("ffv1", "gray"), ("ffv1", "yuva420p"), ("ffv1", "bgra")])
def test_pixel_formats_that_are_not_read_are_refused_by_name(tmp_path, codec, pixel_format):
    path = encoded(tmp_path / "a.mkv", codec, pixel_format, {})
    with pytest.raises(UnsupportedMovieError, match=pixel_format):
        probe(str(path), assume=BT709)


def test_an_encrypted_movie_is_refused(tmp_path):
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 31 + "1", "encryption_kid": "0" * 31 + "2"}
    path = encoded(tmp_path / "a.mp4", "libx264", "yuv420p", {}, **key)
    with pytest.raises(UnsupportedMovieError, match="encrypted"):
        probe(str(path), assume=BT709)


def test_what_is_no_movie_is_refused_with_the_reason(tmp_path):
    (tmp_path / "empty.mkv").touch()
    (tmp_path / "text.mp4").write_text("this is no movie\n" * 100)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\n/etc/hostname\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile /etc/hostname\n")
    (tmp_path / "noise.ts").write_bytes(np.random.default_rng(0).bytes(100_000))
    os.mkfifo(tmp_path / "pipe.mkv")
    expected = {
        "missing.mkv": (MovieOpenError, "No such file"),
        ".": (MovieOpenError, "regular file"),
        "pipe.mkv": (MovieOpenError, "regular file"),
        "empty.mkv": (DamagedMovieError, "empty"),
        "text.mp4": (DamagedMovieError, "not a readable movie"),
        "list.m3u8": (DamagedMovieError, "not a readable movie"),
        "list.ffconcat": (DamagedMovieError, "not a readable movie"),
        "noise.ts": (DamagedMovieError, "not a readable movie"),
    }
    for name, (kind, reason) in expected.items():
        with pytest.raises(kind, match=reason) as error:
            probe(str(tmp_path / name))
        assert isinstance(error.value, MovieError)
        assert error.value.path == str(tmp_path / name)


@pytest.mark.parametrize("path", ["concat:a.mkv|b.mkv", "pipe:0", "lavfi:color", "data:video/mp4;base64,AA", "a\0b"])
def test_only_files_are_opened(path):
    with pytest.raises(MovieOpenError):
        probe(path)


def test_a_server_that_cannot_be_reached_is_no_fault_of_the_movie():
    with pytest.raises(StorageError, match="request failed after 4 attempts"):
        probe("http://127.0.0.1:9/a.mkv")


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{0}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="0" '
    'bandwidth="1"><BaseURL>{0}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "imf": '<?xml version="1.0"?><AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM">'
    "<Path>{0}</Path></AssetMap>",
}
SUFFIXES = {"hls": "m3u8", "concat": "ffconcat", "dash": "mpd", "sdp": "sdp", "imf": "xml"}


@contextmanager
def opened(*paths: Path) -> Iterator[Callable[[], bool]]:
    """Tells whether any of these files has been opened since, by Linux's inotify."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    for path in paths:
        assert libc.inotify_add_watch(watch, os.fsencode(path), 0x20) >= 0  # IN_OPEN

    def any_opened() -> bool:
        try:
            return bool(os.read(watch, 4096))
        except BlockingIOError:
            return False

    try:
        yield any_opened
    finally:
        os.close(watch)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")
@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("disguised", [False, True])
def test_a_playlist_opens_nothing_else(tmp_path, kind, disguised):
    target = write_movie(tmp_path / "target.mp4", replace(SMALL, frames=9))
    playlist = tmp_path / f"movie.{'mkv' if disguised else SUFFIXES[kind]}"
    playlist.write_text(PLAYLISTS[kind].format(target))
    with opened(target) as was_opened:
        target.read_bytes()
        assert was_opened(), "the watch does not work"
        with pytest.raises(DamagedMovieError, match="not a readable movie"):
            probe(str(playlist))
        assert not was_opened()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify is Linux's")
def test_a_movie_that_says_its_pictures_are_in_another_file_opens_nothing_else(tmp_path):
    target = write_movie(tmp_path / "target.mov", replace(SMALL, frames=9))
    data = target.read_bytes()
    at = data.index(b"dref") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    assert data[at + 16 : at + 28] == struct.pack(">I4sI", 12, b"url ", 1)  # here, says its flag
    # Its entry becomes an alias to target.mov, in FFmpeg's eyes too; the pictures are cut off.
    alias = bytearray(150)
    name = target.name.encode()
    alias[10 : 11 + len(name)] = bytes([len(name)]) + name
    path = str(target).encode()
    alias += struct.pack(">hH", 2, len(path)) + path + bytes(len(path) % 2) + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + bytes(alias)
    changed = bytearray(data[: at + 16] + entry + data[at + 28 :])
    grown = len(entry) - 12
    place = 0
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        place = changed.index(parent, place)
        length = int.from_bytes(changed[place - 4 : place], "big")
        changed[place - 4 : place] = (length + grown).to_bytes(4, "big")
    assert size < length + grown
    movie = tmp_path / "movie.mov"
    movie.write_bytes(changed)
    with opened(target) as was_opened:
        with av.open(str(movie), options={"enable_drefs": "1", "use_absolute_path": "1"}):
            assert was_opened(), "it refers to nothing"
        with pytest.raises(DamagedMovieError):
            probe(str(movie))
        assert not was_opened()


def test_a_name_with_a_pattern_is_no_image_sequence(tmp_path):
    for number in range(3):
        Image.new("RGB", (64, 64)).save(tmp_path / f"{number:03d}.png")
    with pytest.raises(MovieOpenError, match="No such file"):
        probe(str(tmp_path / "%03d.png"))
    with pytest.raises(DamagedMovieError, match="not a readable movie"):
        probe(str(tmp_path / "000.png"))


@pytest.mark.parametrize("claimed", [(65535, 65535), (16, 16)])
def test_a_size_that_a_header_claims_is_not_believed(tmp_path, claimed):
    path = write_movie(tmp_path / "a.mp4", replace(SMALL, frames=9))
    data = path.read_bytes()
    at = data.index(b"hvc1", data.index(b"stsd")) + 28
    assert struct.unpack_from(">2H", data, at) == (320, 180)
    path.write_bytes(data[:at] + struct.pack(">2H", *claimed) + data[at + 4 :])
    facts = probe(str(path))
    assert (facts.width, facts.height) == (320, 180)


def test_a_duration_that_a_header_claims_is_not_believed(tmp_path):
    path = write_movie(tmp_path / "a.mkv", replace(SMALL, frames=24))
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3  # Duration, of eight bytes, in milliseconds
    assert struct.unpack_from(">d", data, at)[0] == pytest.approx(1000, abs=2)
    path.write_bytes(data[:at] + struct.pack(">d", 3.6e9) + data[at + 8 :])
    facts = probe(str(path))
    assert facts.duration == pytest.approx(1.0, abs=0.05)
    assert ["promises 3600000.0 s, but it holds 1.0 s" in warning for warning in facts.warnings] == [True]


def test_a_movie_without_a_decoder_is_refused_and_the_codec_is_named(tmp_path):
    path = write_movie(tmp_path / "a.mp4", replace(SMALL, frames=9))
    path.write_bytes(path.read_bytes().replace(b"hvc1", b"zzzz"))
    with pytest.raises(UnsupportedMovieError, match=r"no decoder.*zzzz"):
        probe(str(path))


def test_a_file_name_is_never_taken_for_anything_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = write_movie(tmp_path / "a.mkv", replace(SMALL, frames=9))
    for name in ["concat:b.mkv", "-i.mkv", "%03d.mkv", "üñí ' \" |.mkv", "[0].mkv"]:
        source.rename(tmp_path / name)
        source = tmp_path / name
        assert probe(name).height == 180
    with pytest.raises(MovieOpenError):
        probe("a.mkv")


def test_a_file_that_may_not_be_read_says_so(tmp_path):
    path = write_movie(tmp_path / "a.mkv", replace(SMALL, frames=3))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(MovieOpenError, match="permission"):
        probe(str(path))


def test_sound_without_pictures_is_no_movie(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(DamagedMovieError, match="no video"):
        probe(str(path))


def test_nothing_is_logged_to_the_terminal(tmp_path, capfd):
    path = write_movie(tmp_path / "a.mkv", SMALL)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 500] = bytes(500)
    path.write_bytes(data)
    probe(str(path))
    assert capfd.readouterr() == ("", "")
