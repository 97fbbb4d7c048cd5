"""Movies made for tests are what their spec says, and every frame of them says its number."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from torch_hdrpatches.color.formulas import eotf_pq, inverse_eotf_bt1886, inverse_eotf_pq
from torch_hdrpatches.errors import RecipeError
from torch_hdrpatches.frames import ColorTags
from torch_hdrpatches.testing import HDR10, HLG, SCENES, SDR, MovieSpec, read_number, write_movie

SMALL = {"height": 192, "width": 320, "frames": 40}


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(path) as container:
        return list(container.decode(video=0))


def plane(frame: av.VideoFrame, number: int = 0) -> np.ndarray:
    dtype = np.dtype(np.uint16 if frame.format.components[0].bits > 8 else np.uint8)
    target = frame.planes[number]
    rows = np.frombuffer(target, dtype).reshape(target.height, target.line_size // dtype.itemsize)
    return rows[:, : target.width]


def sdr(frame: av.VideoFrame) -> np.ndarray:
    """8-bit luma of a 10-bit PQ frame under Reinhard's curve for a peak of 1000 cd/m2."""
    white = eotf_pq((plane(frame).astype(float) - 64) / 876) / 100
    return np.rint(255 * inverse_eotf_bt1886(np.minimum(white * (1 + white / 100) / (1 + white), 1))).astype(np.uint8)


def numbers(path: Path) -> list[int]:
    return [read_number(plane(frame)) for frame in decoded(path)]


def packets(path: Path) -> list[tuple[int, bool]]:
    with av.open(path) as container:
        return [(packet.pts, packet.is_keyframe) for packet in container.demux(video=0) if packet.pts is not None]


# --- numbers ---------------------------------------------------------------------------------------------------------


def test_every_frame_of_an_open_gop_b_pyramid_movie_carries_its_number(tmp_path):
    path = write_movie(tmp_path / "hdr10.mp4", MovieSpec(cuts=(17, 30)))
    assert numbers(path) == list(range(48))
    order = packets(path)
    second = [key for _, key in order].index(True, 1)
    assert order[second + 1][0] < order[second][0], "no frame after the second keyframe is shown before it"
    assert max(b[0] < a[0] for a, b in pairwise(order)), "no B-frames"


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".ts", ".265"])
def test_every_container_carries_the_same_pictures(tmp_path, suffix):
    spec = MovieSpec(**SMALL)
    expected = [plane(frame) for frame in decoded(write_movie(tmp_path / "a.mp4", spec))]
    pictures = [plane(frame) for frame in decoded(write_movie(tmp_path / f"a{suffix}", spec))]
    assert np.array_equal(pictures, expected)


@pytest.mark.parametrize("transfer", ["pq", "hlg", "bt709"])
@pytest.mark.parametrize("scene", SCENES)
def test_a_crop_of_160_pixels_tells_the_number_in_every_scene(scene, transfer, tmp_path):
    spec = MovieSpec(transfer=transfer, scenes=(scene,), frames=3, crf=24)
    signal = plane(decoded(write_movie(tmp_path / "a.mkv", spec))[2]).astype(float)
    for shrunk in (1, 2, 3):
        rows, columns, size = 360 // shrunk, 640 // shrunk, 160 // shrunk + 1
        pairs = signal[: rows * shrunk, : columns * shrunk].reshape(rows, shrunk, columns, shrunk)
        small = pairs.mean(axis=(1, 3))
        for top, left in [(0, 0), (37 // shrunk, 101 // shrunk), (rows - size, columns - size)]:
            assert read_number(small[top : top + size, left : left + size], top, left, 1 / shrunk) == 2


def test_numbers_survive_tone_mapping_to_eight_bit_rgb(tmp_path):
    frame = decoded(write_movie(tmp_path / "a.mkv", MovieSpec(frames=6)))[5]
    gray = sdr(frame)
    assert read_number(np.stack([gray] * 3)[:, 20:180, 30:190], 20, 30) == 5


def test_a_picture_without_marks_is_refused(tmp_path):
    frame = decoded(write_movie(tmp_path / "a.mkv", MovieSpec(frames=3, numbers=False)))[0]
    with pytest.raises(ValueError, match="no mark with a valid checksum in a 360x640 crop"):
        read_number(plane(frame))
    noise = np.random.default_rng(0).integers(0, 256, (960, 1920), np.uint8)
    with pytest.raises(ValueError, match="no mark"):
        read_number(noise)


def test_a_crop_cut_from_elsewhere_than_said_is_refused(tmp_path):
    frame = decoded(write_movie(tmp_path / "a.mkv", MovieSpec(frames=3)))[0]
    with pytest.raises(ValueError, match="no mark"):
        read_number(plane(frame)[10:200, 10:200], 0, 0)


# --- tags ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "tags", "pixel_format"),
    [
        (HDR10, (16, 9, 9, 1), "yuv420p10le"),
        (HLG, (18, 9, 9, 1), "yuv420p10le"),
        (SDR, (1, 1, 1, 1), "yuv420p"),
        (MovieSpec(transfer="bt709", codec="libx264"), (1, 1, 1, 1), "yuv420p"),
        (MovieSpec(codec="libx264"), (16, 9, 9, 1), "yuv420p10le"),
        (MovieSpec(range="pc", bits=12, chroma="422"), (16, 9, 9, 2), "yuv422p12le"),
        (MovieSpec(matrix="rgb", chroma="444"), (16, 9, 0, 1), "gbrp10le"),
        (MovieSpec(primaries="smpte432"), (16, 12, 9, 1), "yuv420p10le"),
        (MovieSpec(transfer="iec61966-2-1", primaries="bt470bg", matrix="bt470bg"), (13, 5, 5, 1), "yuv420p"),
        (MovieSpec(tags=ColorTags(*["unknown"] * 5)), (2, 2, 2, 1), "yuv420p10le"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_colour_tags_come_out_as_asked(tmp_path, spec, tags, pixel_format, suffix):
    spec = replaced(spec, height=192, width=320, frames=4)
    path = write_movie(tmp_path / f"a{suffix}", spec)
    for index, frame in enumerate(decoded(path)):
        assert (frame.color_trc, frame.color_primaries, frame.colorspace, frame.color_range) == tags
        assert frame.format.name == pixel_format
        assert read_number(plane(frame)) == index


def replaced(spec: MovieSpec, **changes) -> MovieSpec:
    return MovieSpec(**{name: getattr(spec, name) for name in MovieSpec.__dataclass_fields__} | changes)


def test_mastering_display_and_light_level_come_out_as_asked(tmp_path):
    spec = MovieSpec(**SMALL, mastering_peak=4000, max_cll=1234, max_fall=321)
    for frame in decoded(write_movie(tmp_path / "a.mp4", spec)):
        messages = {data.type.name: bytes(data) for data in frame.side_data}
        # AVContentLightMetadata: two unsigned. AVMasteringDisplayMetadata: 10 rationals, of which the last is the peak.
        assert np.frombuffer(messages["CONTENT_LIGHT_LEVEL"], np.uint32)[:2].tolist() == [1234, 321]
        peak, per = np.frombuffer(messages["MASTERING_DISPLAY_METADATA"], np.int32)[18:20]
        assert Fraction(int(peak), int(per)) == 4000


@pytest.mark.parametrize("spec", [MovieSpec(mastering_peak=0, max_cll=0, max_fall=0), HLG, SDR])
def test_messages_that_nobody_asked_for_are_absent(tmp_path, spec):
    for frame in decoded(write_movie(tmp_path / "a.mp4", replaced(spec, height=192, width=320, frames=4))):
        assert not {data.type.name for data in frame.side_data} & {"MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"}


def test_rotation_and_pixel_aspect_come_out_as_asked(tmp_path):
    spec = MovieSpec(**SMALL, rotation=90, sample_aspect_ratio=Fraction(4, 3))
    path = write_movie(tmp_path / "a.mp4", spec)
    assert decoded(path)[0].rotation == 90
    with av.open(path) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


# --- time ------------------------------------------------------------------------------------------------------------

UNEVEN = tuple(int(t) for t in np.cumsum(np.random.default_rng(3).integers(300, 3000, 40)))


@pytest.mark.parametrize("start", [Fraction(0), Fraction(1, 7), Fraction(5)])
def test_uneven_times_come_out_as_asked(tmp_path, start):
    spec = MovieSpec(**SMALL, pts=UNEVEN, time_base=Fraction(1, 24000), start=start)
    path = write_movie(tmp_path / "a.mp4", spec)
    frames = decoded(path)
    assert [frame.pts * frame.time_base for frame in frames] == [Fraction(t, 24000) + start for t in UNEVEN]
    assert numbers(path) == list(range(40))


def test_ntsc_rate_and_an_offset_in_matroska(tmp_path):
    fps = Fraction(24000, 1001)
    path = write_movie(tmp_path / "a.mkv", MovieSpec(**SMALL, fps=fps, start=Fraction(3)))
    for index, frame in enumerate(decoded(path)):
        assert abs(frame.pts * frame.time_base - 3 - index / fps) <= Fraction(1, 1000)


def test_a_negative_start_is_an_edit_that_hides_the_first_frames(tmp_path):
    path = write_movie(tmp_path / "a.mp4", MovieSpec(**SMALL, start=Fraction(-6, 24)))
    assert numbers(path) == list(range(6, 40))
    assert decoded(path)[0].pts == 0
    assert len(packets(path)) > 34, "the hidden frames are not in the file"


def test_a_thumbnail_can_be_painted(tmp_path):
    spec = MovieSpec(height=16, width=20, codec="libx264", frames=12, cuts=(2, 4, 6, 8, 10))
    assert len(decoded(write_movie(tmp_path / "a.mkv", spec))) == 12


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_very_short_movies_have_their_times(tmp_path, frames):
    path = write_movie(tmp_path / "a.mkv", MovieSpec(height=192, width=320, frames=frames))
    assert [round(frame.pts * frame.time_base * 24) for frame in decoded(path)] == list(range(frames))


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("codec", ["libx265", "libx264"])
def test_two_writes_are_identical(tmp_path, suffix, codec):
    spec = MovieSpec(**SMALL, codec=codec, cuts=(11,))
    first, second = (write_movie(tmp_path / f"{name}{suffix}", spec).read_bytes() for name in "ab")
    assert first == second


def test_the_encoder_says_nothing(tmp_path, capfd):
    write_movie(tmp_path / "a.mp4", MovieSpec(**SMALL))
    write_movie(tmp_path / "b.mp4", MovieSpec(**SMALL, codec="libx264"))
    assert capfd.readouterr() == ("", "")


def test_a_cut_changes_the_picture_and_nothing_else_does(tmp_path):
    cuts = tuple(range(8, 56, 8))
    path = write_movie(tmp_path / "a.mkv", MovieSpec(frames=56, cuts=cuts))
    gray = [sdr(frame).astype(float) for frame in decoded(path)]
    change = [0.0, *(np.abs(after - before).mean() for before, after in pairwise(gray))]
    assert min(change[cut] for cut in cuts) > 45, "the default threshold of a scene change"
    assert max(value for index, value in enumerate(change) if index not in cuts) < 15


def test_bars_are_black_and_the_rest_keeps_its_numbers(tmp_path):
    path = write_movie(tmp_path / "a.mkv", MovieSpec(frames=5, bars=(44, 48, 8, 12)))
    for index, frame in enumerate(decoded(path)):
        luma = plane(frame)
        bars = np.concatenate([luma[:43].ravel(), luma[-47:].ravel(), luma[:, :7].ravel(), luma[:, -11:].ravel()])
        assert bars.max() < 84, "more than 0.01 cd/m2"
        assert abs(bars.mean() - 64) < 1
        assert luma[44:-48, 8:-12].mean() > 200
        assert read_number(luma[44:-48, 8:-12], 44, 8) == index


@pytest.mark.parametrize("location", ["left", "center", "topleft", "top", "bottomleft", "bottom"])
def test_content_is_coded_as_the_standards_say(tmp_path, location):
    rgb = np.zeros((64, 64, 3), np.float32) + np.array([100, 10, 203], np.float32)
    spec = MovieSpec(height=64, width=64, frames=3, numbers=False, crf=0, chroma_location=location)
    frame = decoded(write_movie(tmp_path / "a.mkv", spec, lambda index: rgb))[1]
    r, g, b = inverse_eotf_pq([100, 10, 203])
    luma = 0.2627 * r + 0.6780 * g + 0.0593 * b
    expected = [64 + 876 * luma, 512 + 896 * (b - luma) / 1.8814, 512 + 896 * (r - luma) / 1.4746]
    assert [plane(frame, number).mean() for number in range(3)] == pytest.approx(expected, abs=0.51)


@pytest.mark.parametrize(
    ("location", "weights"),
    [
        ("left", (0.0, 0.5)),
        ("center", (0.5, 0.5)),
        ("topleft", (0.0, 0.0)),
        ("top", (0.5, 0.0)),
        ("bottomleft", (0.0, 1.0)),
        ("bottom", (0.5, 1.0)),
    ],
)
def test_chroma_samples_sit_where_the_location_says(location, weights):
    across, down = weights
    coding = MovieSpec(chroma_location=location).coding
    y, x = np.mgrid[0:32, 0:48].astype(np.float32)
    inside = np.s_[1:-1, 1:-1]
    assert np.allclose(coding.subsample(x)[inside], x[::2, ::2][inside] + across)
    assert np.allclose(coding.subsample(y)[inside], y[::2, ::2][inside] + down)


def test_a_frozen_movie_is_frozen(tmp_path):
    still = np.random.default_rng(0).uniform(0, 300, (192, 320, 3)).astype(np.float32)
    spec = MovieSpec(**SMALL, numbers=False, crf=12)
    luma = [plane(frame).astype(float) for frame in decoded(write_movie(tmp_path / "a.mkv", spec, lambda index: still))]
    assert max(np.abs(a - b).mean() for a, b in pairwise(luma)) < 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transfer": "smpte2084"}, "transfer is 'smpte2084'; valid are pq"),
        ({"scenes": ("moon",)}, "unknown scenes"),
        ({"matrix": "rgb"}, "chroma 444"),
        ({"height": 181}, "not divisible"),
        ({"width": 48}, "64x64 pixels or more"),
        ({"bars": (1, 1, 0, 0)}, "even"),
        ({"pts": (0, 1)}, "2 times for 48 frames"),
        ({"codec": "libsvtav1"}, "libx265"),
        ({"chroma": "411"}, "420, 422 and 444"),
    ],
)
def test_a_spec_that_cannot_be_written_is_refused(options, message):
    with pytest.raises(RecipeError, match=message):
        MovieSpec(**options)


def test_content_of_another_size_is_refused(tmp_path):
    with pytest.raises(RecipeError, match=r"content\(0\) has shape"):
        write_movie(tmp_path / "a.mkv", HDR10, lambda index: np.zeros((10, 10, 3), np.float32))
