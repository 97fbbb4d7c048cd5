"""Makes docs/images/contact-sheet.webp of what `make demo` left. Run: python docs/contact_sheet.py"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from torch_hdrpatches.analysis import contact_sheet

DOCS = Path(__file__).parent

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sheet = contact_sheet(DOCS.parent / "demo" / "shards", Path(folder) / "sheet.png", rows=4)
        Image.open(sheet).save(DOCS / "images" / "contact-sheet.webp", quality=84, method=6)
