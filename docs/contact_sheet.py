"""Makes docs/images/contact-sheet.webp from the demo's shards. Run: python docs/contact_sheet.py [DEMO_FOLDER]"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

from torch_hdrpatches.analysis import contact_sheet

DOCS = Path(__file__).parent

if __name__ == "__main__":
    demo = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS.parent / "demo"
    with tempfile.TemporaryDirectory() as folder:
        sheet = contact_sheet(demo / "shards", Path(folder) / "sheet.png", rows=4)
        Image.open(sheet).save(DOCS / "images" / "contact-sheet.webp", quality=84, method=6)
