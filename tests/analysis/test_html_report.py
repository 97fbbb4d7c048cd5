"""The contact sheet and the report show what an export contains; the report is checked in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from torch_hdrpatches import export, read_shards
from torch_hdrpatches.analysis import contact_sheet, html_report
from torch_hdrpatches.analysis.contact_sheet import BOX
from torch_hdrpatches.analysis.report_data import lights, most_telling, refused_windows, select
from torch_hdrpatches.errors import NoSamplesError
from torch_hdrpatches.sampling import PatchStream
from torch_hdrpatches.shards.browse import exported_metadata, exported_samples
from torch_hdrpatches.testing import MovieSpec, write_movie

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two movies, one of them with cuts and black bars, one broken movie, two categories, two formats."""
    folder = tmp_path_factory.mktemp("report")
    bars = (30, 30, 0, 0)
    write_movie(folder / "cuts.mkv", MovieSpec(height=300, width=480, frames=96, cuts=(30, 61), bars=bars))
    write_movie(folder / "hlg.mp4", MovieSpec(height=180, width=320, frames=48, transfer="hlg"))
    (folder / "bad.mkv").write_bytes(b"nothing")
    recipe = {
        "sampling": {"timestamps_per_movie": 16, "retry_skip": 0.4},
        "shards": {"runs": 1},
        "formats": {"square": {"gt": [96, 96]}, "wide": {"gt": [90, 150]}},
        "categories": {
            "master": {"formats": {"square": 0.5, "wide": 0.5}},
            "space": {"formats": {"square": 1.0}, "target": 10},
        },
        "movies": [
            {"path": str(folder / "cuts.mkv"), "categories": ["master", "space"]},
            {"path": str(folder / "hlg.mp4"), "categories": ["master"], "timestamps": 8},
            {"path": str(folder / "bad.mkv"), "categories": ["master"], "timestamps": 8},
        ],
    }
    assert export(recipe, folder / "out").total == 34
    return folder / "out"


@pytest.fixture(scope="module")
def report(exported: Path) -> Path:
    return html_report(exported, exported.parent / "report.html", rows=12)


def test_a_contact_sheet_has_a_row_per_sample_and_every_crop_box(exported, tmp_path):
    with Image.open(contact_sheet(exported, tmp_path / "sheet.png", rows=4)) as sheet:
        pixels = np.asarray(sheet)
    boxes = (pixels == BOX).all(axis=2).any(axis=1)
    assert np.count_nonzero(np.diff(boxes.astype(int)) == 1) >= 4
    assert 1200 < pixels.shape[1] < 1600


def test_samples_are_spread_over_categories_and_shards(exported):
    samples = exported_samples(exported, 8)
    assert len(samples) == 8
    assert {sample["category"] for sample in samples} == {"master", "space"}
    assert {sample["movie"] for sample in samples} == {"cuts", "hlg"}


def test_exported_metadata_equal_those_of_the_samples(exported):
    there = {sample["key"]: sample["crop"] for sample in read_shards(exported)}
    assert {fields["key"]: tuple(fields["crop"]) for fields in exported_metadata(exported, 1000)} == there
    assert 2 <= len(exported_metadata(exported, 4)) <= 8


def test_refused_windows_of_an_export_are_found_again_with_their_reason(exported):
    selection = select(exported, 4, records=1000)
    refused = refused_windows(selection)
    assert len(refused) == selection.tally.rejects["cuts", "cut"] > 0
    assert {window.reason for window in refused} == {"cut"}
    assert all(window.score >= 1 for window in refused)
    assert most_telling(refused) == refused


@pytest.mark.parametrize("source", ["recipe", "export"])
def test_with_aligned_windows_a_report_shows_only_windows_that_the_stream_refused(tmp_path, source):
    movie = write_movie(tmp_path / "cuts.mkv", MovieSpec(height=180, width=320, frames=144, cuts=(27, 75), keyint=24))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[sampling]\nalign = "keyframe"\ntimestamps_per_movie = 16\nretry_skip = 0.2\n'
        "[formats.patch]\ngt = [96, 96]\n[categories.all]\nformats = { patch = 1 }\n"
        f'[[movies]]\npath = "{movie}"\ncategories = ["all"]\n'
    )
    stream = PatchStream(recipe)
    rejects = [reject for run in stream.plan for outcome in stream.run(0, run) for reject in outcome.rejects]
    assert {reason for _, reason in rejects} == {"cut", "same_gop"}
    if source == "export":
        export(recipe, tmp_path / "out")
    refused = refused_windows(select(recipe if source == "recipe" else tmp_path / "out", 4, records=1000))
    assert {(window.seconds, window.reason) for window in refused} == {r for r in rejects if r.reason != "same_gop"}
    assert all(window.score >= 1 for window in refused)


def test_brightness_is_measured_in_every_movie(exported):
    found = {light.movie: light for light in lights(select(exported, 2, records=1000))}
    assert set(found) == {"cuts", "hlg"}
    assert found["cuts"].pixels.sum() > 4 * 240 * 480
    assert (np.diff(found["cuts"].sdr) >= 0).all()
    assert (found["cuts"].peak_from, found["hlg"].peak_from) == ("maxcll", "assumed")


def test_a_report_needs_no_other_file_and_no_network(report):
    page = report.read_text()
    places = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)|url\(([^)]*)\)""", page)
    assert len(places) > 30
    assert {re.split(r"[:,#]", attribute or url)[0] for attribute, url in places} <= {"data", ""}
    assert "<script src" not in page
    assert report.stat().st_size < 3e6


def test_a_report_says_what_it_does_if_it_is_asked(exported, tmp_path, capfd):
    html_report(exported, tmp_path / "silent.html", rows=1)
    assert capfd.readouterr() == ("", "")
    html_report(exported, tmp_path / "asked.html", rows=1, progress=True)
    assert capfd.readouterr().err.startswith("choosing samples ...\nreading source frames ...\n")


def test_a_report_shows_the_samples_even_if_the_movies_are_gone(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(str(exported.parent), str(tmp_path / "gone")))
    page = html_report(tmp_path / "out", tmp_path / "report.html", rows=4).read_text()
    assert page.count('<article class="card"') == 4
    assert "gone" in page


def test_a_recipe_without_samples_is_an_error_that_says_why(exported):
    recipe = exported.parent / "none.toml"
    recipe.write_text(
        "[categories.a]\nformats = { fullhd_1920 = 1 }\n"
        '[[movies]]\npath = "hlg.mp4"\ncategories = ["a"]\ntimestamps = 8\n'
    )
    with pytest.raises(NoSamplesError, match="no_format_fits"):
        html_report(recipe, exported.parent / "none.html")


def test_without_matplotlib_the_extra_is_named(exported):
    code = (
        "import sys; sys.modules['matplotlib.figure'] = None\n"
        "from torch_hdrpatches.analysis import html_report\n"
        f"html_report({str(exported)!r}, {str(exported.parent / 'x.html')!r}, 2)"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "MissingExtraError" in asked.stderr
    assert "torch_hdrpatches[report]" in asked.stderr


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("there is no Chromium here")
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=[(1280, "light"), (390, "dark")], ids=["desktop-light", "phone-dark"])
def page(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Page]:
    """The report at a width and in a colour scheme. Fails if the page logs an error or makes a request."""
    width, scheme = request.param
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    messages: list[str] = []
    opened.on("console", lambda message: messages.append(message.text))
    opened.on("pageerror", lambda error: messages.append(str(error)))
    opened.on("request", lambda asked: None if asked.url.startswith("data:") else messages.append(asked.url))
    opened.goto(report.as_uri())
    yield opened
    opened.wait_for_timeout(100)
    opened.close()
    assert messages == [report.as_uri()]


def shown(page: Page) -> int:
    return page.locator(".card:visible").count()


def test_filters_show_the_cards_that_fit(page):
    everything = shown(page)
    assert everything == 12
    page.select_option("#category", "space")
    assert 0 < shown(page) < everything
    assert set(page.eval_on_selector_all(".card:not([hidden])", "cards => cards.map(c => c.dataset.category)")) == {
        "space"
    }
    assert page.text_content("#shown") == str(shown(page))
    page.select_option("#format", "wide")
    assert shown(page) == 0
    page.select_option("#category", "")
    page.select_option("#movie", "hlg")
    assert 0 < shown(page) < everything
    assert page.locator(".refused:visible").count() == 0
    for what in ("format", "movie"):
        page.select_option(f"#{what}", "")
    assert shown(page) == everything
    assert page.locator(".refused:visible").count() > 0


def test_a_card_lists_all_metadata_and_plays_its_frames(page, exported):
    card = page.locator(".card").first
    card.locator("summary").click()
    key = card.locator("h3").text_content()
    sample = next(sample for sample in read_shards(exported) if sample["key"] == key)
    known = set(card.locator("dt").all_text_contents())
    assert known == sample.keys() - {"gt", "lq", "__key__"}
    places = {card.locator(".lq").evaluate("lq => getComputedStyle(lq).backgroundPositionY") for _ in range(12)}
    page.wait_for_timeout(300)
    places.add(card.locator(".lq").evaluate("lq => getComputedStyle(lq).backgroundPositionY"))
    assert len(places) > 1
    page.uncheck("#play")
    assert card.locator(".lq").evaluate("lq => getComputedStyle(lq).animationName") == "none"


def test_images_load_and_nothing_is_wider_than_the_page(page):
    page.eval_on_selector_all("img", "pictures => pictures.forEach(p => p.loading = 'eager')")
    page.wait_for_function("[...document.images].every(picture => picture.complete)")
    assert page.evaluate("[...document.images].every(picture => picture.naturalWidth > 50)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("figure svg").count() >= 9


def test_text_and_background_follow_the_colour_scheme(page):
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    paper, ink = (
        sum(map(int, re.findall(r"\d+", page.evaluate(f"getComputedStyle(document.body).{what}"))[:3]))
        for what in ("backgroundColor", "color")
    )
    assert (paper < 120 < 600 < ink) if dark else (ink < 120 < 600 < paper)
    label = page.locator("figure svg text").first
    assert label.evaluate("text => getComputedStyle(text).fill") == page.evaluate(
        "getComputedStyle(document.body).color"
    )
