"""Forty-two real clips nobody here made: each is what it is said to be, or refused for the reason that it deserves."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import av
import pytest

from torch_hdrpatches.errors import DamagedMovieError, UnsupportedMovieError, UntaggedMovieError, WindowError
from torch_hdrpatches.frames import Planes
from torch_hdrpatches.probe import open_movie
from torch_hdrpatches.rng import rng_at
from torch_hdrpatches.video.planes import planes_of

PQ = {"transfer": "pq", "primaries": "bt2020", "matrix": "bt2020nc", "range": "tv"}
HLG = PQ | {"transfer": "hlg"}
SDR = {"transfer": "bt709", "primaries": "bt709", "matrix": "bt709", "range": "tv"}
ASSUMED = {"transfer": "bt709", "primaries": "bt709", "matrix": "bt709"}


def facts(tags: dict[str, str], width: int, height: int, bits: int, **others: Any) -> dict[str, Any]:
    return {**tags, "width": width, "height": height, "bits": bits, "chroma": "420"} | others


USABLE = {
    "pq_hevc_dv81_2160p60.mp4": facts(PQ, 3840, 2160, 10, mastering_peak=4000, max_cll=0, dolby_vision="8.1"),
    "pq_hevc_dv81_1080p60.mp4": facts(PQ, 1920, 1080, 10, dolby_vision="8.1", chroma_location="topleft"),
    "pq_hevc_sdr_container_1080p.mp4": facts(PQ, 1920, 1080, 10, max_cll=1000, mastering_peak=0, hdr10_plus=True),
    "pq_hevc_dv8_360p60.mp4": facts(PQ, 640, 360, 10, mastering_peak=4000, active=(12, 0, 336, 640)),
    "pq_av1_portrait_720x1280.mp4": facts(PQ, 720, 1280, 10, codec="av1", rotation=0),
    "pq_hevc_countdown_1080p24.mov": facts(PQ, 1920, 1080, 10, fps=24.0, duration=4.0),
    "pq_hevc_hdr10plus_144p.mkv": facts(PQ, 256, 144, 10, max_cll=1000, mastering_peak=1000, hdr10_plus=True),
    "pq_hevc_hdr10plus_tos_800p.h265": facts(PQ, 1920, 800, 10, mastering_peak=1000, duration=0.25),
    "pq_hevc_bear_360p30.mp4": facts(PQ, 640, 360, 10, max_cll=0),
    "pq_superwhite.mp4": facts(PQ, 16, 16, 10),
    "pq_avif_cosmos01650_420.avif": facts(PQ, 2048, 858, 10, codec="av1"),
    "pq_h264_8bit_grad_colr111_1080p.mp4": facts(PQ, 1920, 1080, 8, codec="h264"),
    "colr_hdr10_full.mp4": facts(PQ | {"range": "pc"}, 2, 2, 8),
    "hlg_hevc_dv84_editlist_1080p.mp4": facts(HLG, 1920, 1080, 10, dolby_vision="8.4", rotation=90),
    "hlg_hevc_color_test_1080p.mp4": facts(HLG, 1920, 1080, 10, duration=pytest.approx(0.3, abs=1e-3)),
    "hlg_hevc_848x464.mkv": facts(HLG, 848, 464, 10),
    "hlg_hevc_dv84_720p_5f.mov": facts(HLG, 1280, 720, 10, dolby_vision="8.4", rotation=90),
    "hlg_h264_8bit_720p60.ts": facts(HLG, 720, 720, 8, fps=60.0),
    "colr_hlg.mp4": facts(HLG, 2, 2, 8),
    "av1_422_12_1f.mp4": facts(SDR, 456, 300, 12, chroma="422"),
    "sdr_hevc10_countdown_1080p24.mov": facts(SDR, 1920, 1080, 10),
    "hevc_main10_sdr_360p.ts": facts(SDR, 640, 360, 10, start=pytest.approx(1.4), duration=pytest.approx(12.0)),
    "mvhevc_5f.mov": facts(SDR, 1934, 2160, 8),
    "vfr_cursed.mp4": facts(SDR, 3026, 1386, 8),
    "sdr_portrait_4k60_rot.mp4": facts(
        {"transfer": "smpte170m", "primaries": "bt470bg", "matrix": "bt470bg", "range": "pc"},
        3840,
        2160,
        8,
        rotation=90,
    ),
    "elst_preroll_only.mp4": facts(SDR, 640, 360, 8, start=0.0),
    "sdr_nasa.mp4": facts(SDR, 480, 270, 8),
}
USABLE_IF_ASSUMED = {
    "vp92_10bit_240p.webm": facts(SDR | {"matrix": "bt2020nc"}, 426, 240, 10, codec="vp9"),
    "hevc_422_10_full.mp4": facts(SDR | {"range": "pc"}, 720, 480, 10, chroma="422"),
    "hevc_gbrp10_full.mp4": facts(SDR | {"matrix": "rgb", "range": "pc"}, 720, 480, 10, chroma="gbr"),
    "untagged_main10_dash_720p.mp4": facts(SDR, 1280, 720, 10, duration=pytest.approx(8.0)),
    "av1_avis_chimera_10bit_270p.avif": facts(SDR, 480, 270, 10, stream=1),
    "corrupted.mp4": facts(SDR, 1280, 720, 8),
    "elst_positive_shift.mp4": facts(SDR, 1920, 1080, 8, duration=pytest.approx(9.0)),
    "ts_trunc_1440p.ts": facts(SDR, 2560, 1440, 8),
    "res_change_midstream.h264": facts(SDR, 848, 464, 8),
    "multires.mkv": facts(SDR, 848, 464, 8),
    "sdr_hevc_one_iframe_1080p.mp4": facts(SDR, 1920, 1080, 8),
    "sdr_hevc_bear_720p30.mp4": facts(SDR, 1280, 720, 8),
    "sdr_hevc10_small.mp4": facts(SDR, 200, 200, 10),
}
REFUSED = {
    "dv5_hevc_sparks_360p60.mp4": (UnsupportedMovieError, "Dolby Vision profile 5.*apply_dolbyvision"),
    "dv10_0_av1_2160p30.mp4": (UnsupportedMovieError, "no decoder.*dav1"),
    "golden_hlg10_color_test_frame0.png": (DamagedMovieError, "not a readable movie"),
}
WARNED = {
    "pq_hevc_sdr_container_1080p.mp4": "mastering peak of 0.1 cd/m2",
    "pq_h264_8bit_grad_colr111_1080p.mp4": "container says transfer bt709, the pictures say pq",
    "multires.mkv": "other video streams",
    "av1_avis_chimera_10bit_270p.avif": "other video streams",
}
TOO_SHORT = {
    "av1_422_12_1f.mp4",
    "pq_avif_cosmos01650_420.avif",
    "colr_hdr10_full.mp4",
    "colr_hlg.mp4",
    "pq_superwhite.mp4",
    "pq_hevc_hdr10plus_tos_800p.h265",
    "hlg_hevc_dv84_720p_5f.mov",
    "mvhevc_5f.mov",
}
"""Clips of fewer than seven pictures."""


def test_every_clip_has_an_expectation(clips):
    names = {path.name for path in clips.iterdir() if path.suffix != ".md"}
    assert names == USABLE.keys() | USABLE_IF_ASSUMED.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", [*USABLE, *USABLE_IF_ASSUMED])
def test_a_usable_clip_is_what_it_is(clips, name):
    expected = USABLE.get(name) or USABLE_IF_ASSUMED[name]
    with open_movie(str(clips / name), assume=ASSUMED if name in USABLE_IF_ASSUMED else None) as movie:
        found = movie.facts
        for field, value in expected.items():
            assert (getattr(found, field) if hasattr(found, field) else getattr(found.tags, field)) == value, field
        assert found.duration > 0
        warnings = " ".join(found.warnings)
        assert WARNED.get(name, "") in warnings
        assert name in WARNED or "makes no sense" not in warnings


@pytest.mark.parametrize("name", USABLE_IF_ASSUMED)
def test_an_untagged_clip_is_refused_and_says_which_tags_are_missing(clips, name):
    with pytest.raises(UntaggedMovieError, match=r"transfer.*assume"):
        open_movie(str(clips / name))


@pytest.mark.parametrize("name", REFUSED)
def test_a_clip_that_cannot_be_used_is_refused_with_the_reason(clips, name):
    error, reason = REFUSED[name]
    with pytest.raises(error, match=reason):
        open_movie(str(clips / name), assume=ASSUMED)


def planes_hash(picture: Planes) -> str:
    """Of the visible codes of all three planes."""
    digest = hashlib.sha256(picture.y[: picture.height, : picture.width].tobytes())
    rows, columns = -(-picture.height // picture.sub_y), -(-picture.width // picture.sub_x)
    for chroma in (picture.cb, picture.cr):
        digest.update(chroma[:rows, :columns].tobytes())
    return digest.hexdigest()


def decoded_straight(path: Path, stream: int, fps: float) -> dict[float, list[str]]:
    """What a plain decode from the beginning gives: seconds to hashes of the pictures then."""
    found: dict[float, list[str]] = defaultdict(list)
    count = 0
    with av.open(str(path)) as container:
        video = container.streams[stream]
        video.codec_context.thread_count = 1
        for packet in container.demux(video):
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                continue
            for frame in frames:
                seconds = float(frame.pts * frame.time_base) if frame.pts is not None else count / fps
                found[round(seconds, 5)].append(planes_hash(planes_of(frame)))
                count += 1
    return found


@pytest.mark.parametrize("name", [*USABLE, *USABLE_IF_ASSUMED])
def test_windows_are_the_pictures_of_a_straight_decode(clips, name):
    path = clips / name
    with open_movie(str(path), assume=ASSUMED if name in USABLE_IF_ASSUMED else None) as movie:
        heavy = movie.facts.width * movie.facts.height > 2_000_000
        moments = rng_at("moments", name).uniform(0, movie.facts.duration, 6 if heavy else 20).tolist()
        straight = decoded_straight(path, movie.facts.stream, movie.facts.fps)
        given, refusals = 0, set()
        # In time order, as a run asks for them, and then again in no order.
        for moment in [*sorted(moments), *moments[: 2 if heavy else 10]]:
            try:
                window = movie.window(moment)
            except WindowError as refused:
                refusals.add(refused.reason)
                continue
            given += 1
            assert list(window.pts) == sorted(window.pts)
            times = sorted(straight)
            first = times.index(round(window.pts[0], 5))
            assert [round(pts, 5) for pts in window.pts] == times[first : first + 7], "seven neighbours"
            for pts, picture in zip(window.pts, window.frames, strict=True):
                assert planes_hash(picture) in straight[round(pts, 5)]
        assert refusals <= {"too_short", "undecodable", "size_change", "past_end"}
        assert bool(given) != (name in TOO_SHORT)
