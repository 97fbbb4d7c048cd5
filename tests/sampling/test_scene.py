"""Windows that are one scene pass, whatever moves in them; others are refused, and by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from torch_hdrpatches.color import Grader, ToneSettings
from torch_hdrpatches.frames import Box, ColorTags, Planes
from torch_hdrpatches.sampling.scene import Stability, judge
from torch_hdrpatches.testing import MovieSpec, write_movie
from torch_hdrpatches.video.planes import planes_of

HEIGHT, WIDTH = 180, 320
GREY = np.arange(256, dtype=np.uint8)
WHOLE = Box(0, 0, HEIGHT, WIDTH)

Picture = np.ndarray[Any, np.dtype[Any]]
"""float (HEIGHT, WIDTH) or larger: SDR codes."""


@cache
def canvas(
    seed: int, mean: float = 110, contrast: float = 35, height: int = 3 * HEIGHT, width: int = 3 * WIDTH
) -> Picture:
    """Soft blotches of all sizes; one more scene for each seed."""
    rng = np.random.default_rng(seed)
    sum_of_sizes = np.zeros((height, width))
    for size in (4, 8, 16, 32, 64):
        blotches = rng.standard_normal((height // size + 2, width // size + 2))
        sum_of_sizes += sampled(blotches, np.arange(height) / size, np.arange(width) / size) * size**0.5
    return mean + contrast * sum_of_sizes / sum_of_sizes.std()


def sampled(picture: Picture, rows: Picture, columns: Picture) -> Picture:
    """The picture at these rows and columns, bilinear between pixels, as a lens would have it."""
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None], columns - left
    above, below = (picture[y][:, left] * (1 - right) + picture[y][:, left + 1] * right for y in (top, top + 1))
    return above * (1 - down) + below * down


def part(picture: Picture, top: float = HEIGHT, left: float = WIDTH) -> Picture:
    """What a camera sees whose corner is at (top, left)."""
    return sampled(picture, top + np.arange(HEIGHT), left + np.arange(WIDTH))


def pan(picture: Picture, speed: float, direction: tuple[float, float] = (0, 1)) -> list[Picture]:
    """Seven pictures of a camera that moves by ``speed`` picture widths per picture."""
    step = speed * WIDTH
    return [
        part(picture, HEIGHT + direction[0] * step * (t - 3), WIDTH + direction[1] * step * (t - 3)) for t in range(7)
    ]


def noisy(pictures: Sequence[Picture], strength: float, seed: int = 0) -> list[Picture]:
    rng = np.random.default_rng(seed)
    return [picture + strength * rng.standard_normal(picture.shape) for picture in pictures]


def planes(luma: Picture) -> Planes:
    codes = np.clip(np.rint(luma), 0, 255).astype(np.uint8)
    chroma = np.full((1, 1), 128, np.uint8)
    return Planes(codes, chroma, chroma, *codes.shape, 1, 1, 8)


def verdict(pictures: Sequence[Picture], **settings: Any) -> Stability:
    shown = [planes(picture) for picture in pictures]
    return judge(shown, GREY, Box(0, 0, *pictures[0].shape), **settings)


SCENES: dict[str, Callable[[int], list[Picture]]] = {
    "still with noise": lambda seed: noisy(pan(canvas(seed), 0), 3),
    "slow pan": lambda seed: noisy(pan(canvas(seed), 0.005), 1),
    "fast pan": lambda seed: pan(canvas(seed), 0.05),
    "dark": lambda seed: noisy(pan(canvas(seed, 14, 6), 0.01), 1),
    "bright": lambda seed: noisy(pan(canvas(seed, 200, 25), 0.01, (1, 0)), 1),
}


# What is refused


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("step", range(6))
def test_a_cut_at_any_step_is_refused(scene, step):
    before, after = SCENES[scene](1), SCENES[scene](2)
    found = verdict([*before[: step + 1], *after[step + 1 :]])
    assert found.reason == "cut"
    assert found.score >= 1


@pytest.mark.parametrize("step", range(6))
def test_a_cut_to_a_closer_view_of_the_same_scene_is_refused(step):
    wide = noisy(pan(canvas(3), 0.01), 1)
    close = [np.kron(picture[40:130, 60:220], np.ones((2, 2))) for picture in wide]
    assert verdict([*wide[: step + 1], *close[step + 1 :]]).reason == "cut"


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("light", [60, -60])
def test_a_picture_much_brighter_or_darker_is_a_flash(at, light):
    pictures = noisy(pan(canvas(4, 120, 25), 0.01), 1)
    pictures[at] = pictures[at] + light
    assert verdict(pictures).reason == "flash"


@pytest.mark.parametrize("level", [0, 255])
def test_a_single_black_or_white_picture_is_refused(level):
    pictures = noisy(pan(canvas(5), 0.01), 1)
    pictures[3] = np.full_like(pictures[3], level)
    assert verdict(pictures).reason == "flash"


@pytest.mark.parametrize("scene", ["still with noise", "slow pan", "fast pan"])
@pytest.mark.parametrize("length", [8, 16, 32])
@pytest.mark.parametrize("rising", [False, True])
def test_a_fade_is_refused(scene, length, rising):
    lights = [1 - (t + 1) / length for t in range(7)]
    pictures = SCENES[scene](6)
    faded = [light * picture for light, picture in zip(sorted(lights, reverse=not rising), pictures, strict=True)]
    assert verdict(faded).reason in ("fade", "cut")
    assert length < 16 or verdict(faded).reason == "fade"


@pytest.mark.parametrize("scene", ["still with noise", "slow pan"])
@pytest.mark.parametrize("length", [12, 16, 24])
def test_a_dissolve_is_refused(scene, length):
    shares = [0.4 + t / length for t in range(7)]
    mixed = [
        (1 - share) * one + share * other
        for share, one, other in zip(shares, SCENES[scene](7), SCENES[scene](8), strict=True)
    ]
    assert verdict(mixed).reason in ("fade", "cut")


@pytest.mark.parametrize("step", range(6))
def test_a_repeated_picture_is_refused_although_the_codec_changes_it_a_little(step):
    times = [t if t <= step else t - 1 for t in range(7)]
    moving = pan(canvas(9), 0.02)
    assert verdict([moving[t] for t in times]).reason == "frozen"
    assert verdict(noisy([moving[t] for t in times], 1)).reason == "frozen"


@pytest.mark.parametrize("times", [(0, 0, 2, 2, 4, 4, 6), (0, 0, 0, 3, 3, 3, 6), (0, 1, 2, 3, 3, 3, 3)])
def test_pictures_held_for_two_or_three_or_for_good_are_refused(times):
    moving = pan(canvas(10), 0.02)
    assert verdict([moving[t] for t in times]).reason == "frozen"


def test_a_window_in_which_nothing_changes_is_refused():
    assert verdict(pan(canvas(11), 0)).reason == "frozen"


@pytest.mark.parametrize(("level", "reason"), [(0, "black"), (6, "black"), (90, "flat"), (255, "flat")])
@pytest.mark.parametrize("noise", [0, 3])
def test_black_and_flat_windows_are_refused_by_name(level, reason, noise):
    assert verdict(noisy([np.full((HEIGHT, WIDTH), float(level))] * 7, noise)).reason == reason


# What passes


@pytest.mark.parametrize("seed", range(20, 24))
@pytest.mark.parametrize("scene", SCENES)
def test_an_ordinary_scene_passes(scene, seed):
    found = verdict(SCENES[scene](seed))
    assert found.reason == ""
    assert 0 <= found.score < 1


@pytest.mark.parametrize("speed", [0.002, 0.01, 0.03, 0.05, 0.08])
@pytest.mark.parametrize("direction", [(0, 1), (0.5, -0.8), (-1, 0)])
def test_pans_pass_however_fast(speed, direction):
    shown = pan(canvas(30), min(speed, 0.05) if direction[0] else speed, direction)
    assert verdict(noisy(shown, 1)).reason == ""


@pytest.mark.parametrize("rate", [0.01, 0.03, -0.03])
def test_zooms_pass(rate):
    picture, zoomed = canvas(31), []
    for t in range(7):
        rows, columns = (
            length * 1.5 + (np.arange(length) - length / 2) * (1 + rate) ** (t - 3) for length in (HEIGHT, WIDTH)
        )
        zoomed.append(sampled(picture, rows, columns))
    assert verdict(noisy(zoomed, 1)).reason == ""


def test_a_shaking_camera_passes():
    picture, path = canvas(32), [(0, 0), (5, -7), (-3, 4), (6, 9), (-4, -2), (7, 5), (-5, 8)]
    assert verdict([part(picture, HEIGHT + y, WIDTH + x) for y, x in path]).reason == ""


def test_grain_passes():
    assert verdict(noisy(pan(canvas(33), 0.005), 15)).reason == ""


def test_a_small_fast_object_passes():
    shown = noisy(pan(canvas(34), 0.005), 1)
    for t, picture in enumerate(shown):
        picture[70:100, 10 + 40 * t : 40 + 40 * t] = 250
    assert verdict(shown).reason == ""


def test_a_subtitle_that_pops_up_passes():
    shown = noisy(pan(canvas(35), 0.005), 1)
    letters = np.kron(np.random.default_rng(0).random((3, 40)) < 0.5, np.ones((6, 4))) > 0
    for picture in shown[3:]:
        picture[150:168, 80:240][letters] = 235
    assert verdict(shown).reason == ""


def test_lamps_that_flicker_pass():
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    glow = 90 * np.exp(-np.hypot(rows - 60, columns - 200) / 15)
    levels = [1, 0.6, 0.9, 0.5, 1, 0.7, 0.8]
    shown = noisy(pan(canvas(36, 60), 0.005), 1)
    assert verdict([picture + level * glow for picture, level in zip(shown, levels, strict=True)]).reason == ""


@pytest.mark.parametrize("transfer", ["pq", "hlg", "bt709"])
def test_every_cut_of_an_encoded_movie_is_seen_and_nothing_else(tmp_path, transfer):
    spec = MovieSpec(height=192, width=320, frames=48, cuts=(16, 33), transfer=transfer, bars=(16, 16, 0, 0))
    with av.open(str(write_movie(tmp_path / "a.mkv", spec))) as container:
        pictures = [planes_of(frame) for frame in container.decode(video=0)]
    grey = Grader(spec.coding.tags, pictures[0].bits, ToneSettings(), 1000.0).grey
    for first in range(42):
        found = judge(pictures[first : first + 7], grey, Box(16, 0, 160, 320))
        assert found.reason == ("cut" if any(first < cut < first + 7 for cut in spec.cuts) else ""), (first, found)


# Settings


def test_what_is_tolerated_passes_and_hides_nothing_else():
    moving, other = pan(canvas(40), 0.02), pan(canvas(41), 0.02)
    twos = [moving[t] for t in (0, 0, 2, 2, 4, 4, 6)]
    assert verdict(twos, tolerate=["frozen"]).reason == ""
    assert verdict(twos, tolerate=["frozen"]).score < 1
    for step in range(6):
        cut = [*twos[: step + 1], *(other[t] for t in (0, 0, 2, 2, 4, 4, 6)[step + 1 :])]
        assert verdict(cut, tolerate=["frozen"]).reason == "cut"


def test_the_old_measure_is_the_mean_difference_of_first_and_last():
    pictures = [np.full((HEIGHT, WIDTH), float(level)) for level in (50, 0, 255, 0, 255, 0, 95)]
    assert verdict(pictures, measure="first_to_last") == Stability(45.0, "")
    assert verdict(pictures, measure="first_to_last", max_scene_change=44.9) == Stability(45.0, "unstable")


def test_the_old_measure_reads_every_eighth_row_and_column_of_the_area():
    first, last = np.zeros((2, HEIGHT, WIDTH))
    last[4:104:8, 8:208:8] = 45
    area = Box(4, 8, 100, 200)
    assert judge([planes(first), planes(last)], GREY, area, "first_to_last").score == 45.0
    assert judge([planes(first), planes(45 - last)], GREY, area, "first_to_last").score == 0.0


@pytest.mark.parametrize("frames", [3, 5, 9])
def test_windows_of_other_lengths_are_judged_alike(frames):
    picture, other = canvas(42), canvas(43)
    shown = noisy([part(picture, HEIGHT, WIDTH + 5 * t) for t in range(frames)], 1)
    assert verdict(shown).reason == ""
    for step in range(frames - 1):
        cut = [*shown[: step + 1], *(part(other, HEIGHT, WIDTH + 5 * t) for t in range(step + 1, frames))]
        assert verdict(cut).reason == "cut"


def test_a_single_picture_is_only_asked_whether_it_shows_something():
    assert verdict([part(canvas(44))]).reason == ""
    assert verdict([np.zeros((HEIGHT, WIDTH))]).reason == "black"


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (7, 30), (16, 16), (64, 64), (33, 501), (271, 483), (640, 360)])
def test_pictures_of_any_size_are_judged(size):
    picture = canvas(45, height=size[0] + 40, width=size[1] + 40)
    shown = noisy([picture[2 * t : 2 * t + size[0], t : t + size[1]] for t in range(7)], 1)
    assert 0 <= verdict(shown).score <= 10
    assert min(size) < 33 or verdict(shown).reason == ""


def test_only_the_area_counts():
    pictures = [np.pad(picture, ((20, 0), (0, 12))) for picture in noisy(pan(canvas(46), 0.01), 1)]
    for t, picture in enumerate(pictures):
        picture[:20], picture[:, -12:] = 40 * t, 255 - 40 * t
    inside = judge([planes(picture) for picture in pictures], GREY, Box(20, 0, HEIGHT, WIDTH))
    assert inside == verdict([picture[20:, :-12] for picture in pictures])
    assert inside.reason == ""


def test_ten_bits_are_judged_through_the_table_of_greys():
    eight = [planes(picture) for picture in noisy(pan(canvas(47), 0.01), 1)]
    ten = [Planes(p.y.astype(np.uint16) * 4, p.cb, p.cr, HEIGHT, WIDTH, 1, 1, 10) for p in eight]
    grey = np.minimum((np.arange(1024) + 2) // 4, 255).astype(np.uint8)
    assert judge(ten, grey, WHOLE).score == pytest.approx(judge(eight, GREY, WHOLE).score, abs=0.01)


# The same everywhere


def whole_codes(seed: int) -> list[Planes]:
    """Pictures made of integers alone, so that every machine has the same."""
    rng = np.random.Generator(np.random.Philox(seed))
    blotches = np.kron(rng.integers(20, 220, (40, 60)), np.ones((8, 8), np.int64))
    for _ in range(8):
        blotches = (blotches[:-1, :-1] + blotches[:-1, 1:] + blotches[1:, :-1] + blotches[1:, 1:]) // 4
    grain = rng.integers(-3, 4, (7, HEIGHT, WIDTH))
    return [planes(blotches[3 * t : 3 * t + HEIGHT, 7 * t : 7 * t + WIDTH] + grain[t]) for t in range(7)]


def test_a_score_is_the_same_number_on_every_machine():
    first, second = whole_codes(1), whole_codes(2)
    assert judge(first, GREY, WHOLE) == Stability(0.8021022450372448, "")
    assert judge([*first[:3], *second[3:]], GREY, WHOLE) == Stability(1.9735067106791355, "cut")


def test_threads_and_order_change_nothing():
    windows = [whole_codes(seed) for seed in range(8)]
    alone = [judge(window, GREY, WHOLE) for window in windows]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda window: judge(window, GREY, WHOLE), windows * 3)) == alone * 3


# Real clips

SDR = ColorTags("bt709", "bt709", "bt709", "tv")
PQ = ColorTags("pq", "bt2020", "bt2020nc", "tv")


@pytest.mark.parametrize(
    ("name", "tags", "cuts", "kept"),
    [
        ("pq_hevc_dv8_360p60.mp4", PQ, (197,), 348),
        ("untagged_main10_dash_720p.mp4", SDR, (39, 77, 114, 173, 186), 0),  # every sixth picture is a repeated one
        ("sdr_nasa.mp4", SDR, (202,), 100),
        ("vp92_10bit_240p.webm", PQ, (42, 69), 57),
    ],
)
def test_real_cuts_are_seen_at_every_step(clips: Path, name, tags, cuts, kept):
    with av.open(str(clips / name)) as container:
        pictures = [planes_of(frame) for frame in container.decode(video=0)]
    grey = Grader(tags, pictures[0].bits, ToneSettings(), 1000.0).grey
    area = Box(0, 0, pictures[0].height, pictures[0].width)
    reasons = [judge(pictures[first : first + 7], grey, area).reason for first in range(len(pictures) - 6)]
    for cut in cuts:
        assert set(reasons[max(0, cut - 6) : cut]) == {"cut"}, cut
    assert reasons.count("") >= kept


def test_a_real_dissolve_and_a_real_fade_are_seen(clips: Path):
    for name, tags, first, last in (("sdr_nasa.mp4", SDR, 127, 151), ("pq_hevc_dv81_2160p60.mp4", PQ, 120, 149)):
        with av.open(str(clips / name)) as container:
            pictures = [
                planes_of(frame)
                for number, frame in enumerate(container.decode(video=0))
                if first - 1 <= number <= last
            ]
        grey = Grader(tags, pictures[0].bits, ToneSettings(), 1000.0).grey
        area = Box(0, 0, pictures[0].height, pictures[0].width)
        assert "" not in {judge(pictures[at : at + 7], grey, area).reason for at in range(len(pictures) - 6)}
