"""Paths of written files that a notebook shows: an image, or a link to a page."""

from __future__ import annotations

import os
import sys
from html import escape
from pathlib import Path
from urllib.parse import quote

# Before Python 3.12, only the path type of a system can have subclasses.
if sys.platform == "win32":
    from pathlib import WindowsPath as SystemPath
else:
    from pathlib import PosixPath as SystemPath


class ImagePath(SystemPath):
    """The path of a PNG. A notebook shows the image."""

    def _repr_png_(self) -> bytes | None:
        return self.read_bytes() if self.suffix == ".png" and self.is_file() else None


class PagePath(SystemPath):
    """The path of a page. A notebook shows a link to it, which works for pages in the notebook's folder or below."""

    def _repr_html_(self) -> str:
        near = Path(os.path.relpath(self)).as_posix()
        return f'<a href="{quote(near)}" target="_blank">{escape(str(self))}</a>'
