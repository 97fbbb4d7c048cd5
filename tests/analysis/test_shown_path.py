"""Paths that show themselves in a notebook are paths in everything else."""

from __future__ import annotations

import pickle
from pathlib import Path

from PIL import Image

from torch_hdrpatches.analysis.shown_path import ImagePath, PagePath


def test_an_image_shows_its_bytes_and_any_other_path_nothing(tmp_path):
    image = ImagePath(tmp_path / "sheet.png")
    assert image._repr_png_() is None  # not written yet
    Image.new("RGB", (2, 2)).save(image)
    assert image._repr_png_() == (tmp_path / "sheet.png").read_bytes()
    assert image.parent._repr_png_() is None  # pathlib gives the folder the same type


def test_a_page_shows_a_link_from_the_folder_of_the_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    link = '<a href="a/b%26%20c.html" target="_blank">'
    assert PagePath("a/b& c.html")._repr_html_() == f"{link}a/b&amp; c.html</a>"
    assert PagePath(tmp_path / "a" / "b& c.html")._repr_html_().startswith(link)


def test_they_equal_plain_paths(tmp_path):
    for kind in (ImagePath, PagePath):
        path = kind(tmp_path / "x.png")
        assert path == Path(tmp_path / "x.png") == pickle.loads(pickle.dumps(path))
        assert str(path) == str(tmp_path / "x.png")
