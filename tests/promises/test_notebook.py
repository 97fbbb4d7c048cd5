"""In a notebook, everything that a cell ends with shows itself, and long work shows its progress."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

PNG = b"\x89PNG\r\n\x1a\n"

CELLS = {
    "dataset": "import torch_hdrpatches as hp\ndataset = hp.HDRPatchDataset('recipe.json')\ndataset",
    "loader": "loader = hp.PatchLoader(dataset, batch_size=4, num_workers=1)\nloader",
    "batch": "next(iter(loader))",
    "sample": "next(iter(hp.HDRPatchDataset('recipe.json', output='hdr')))",
    "tally": "hp.export('recipe.json', 'out')",
    "silent": "hp.export('recipe.json', 'silent', progress=False)",
    "shards": "hp.read_shards('out')",
    "sheet": "from torch_hdrpatches import analysis\nanalysis.contact_sheet('out', 'sheet.png', rows=2)",
    "report": "analysis.html_report('out', 'my report.html', rows=2)",
}


def executed(folder: Path) -> dict[str, list[Any]]:
    """The outputs of the cells, by name."""
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS.values()])
    nbclient.NotebookClient(book, timeout=200, resources={"metadata": {"path": str(folder)}}).execute()
    return {name: cell["outputs"] for name, cell in zip(CELLS, book["cells"], strict=True)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of the notebook's own packages
def test_all_results_show_themselves_in_a_notebook(small, tmp_path):
    (tmp_path / "recipe.json").write_text(json.dumps(small))
    outputs = executed(tmp_path)
    assert [
        output for some in outputs.values() for output in some if output["output_type"] in ("stream", "error")
    ] == []
    result = {name: some[-1]["data"] for name, some in outputs.items()}
    assert all(" at 0x" not in data["text/plain"] for data in result.values())
    html = {name: re.sub(r' style="[^"]*"', "", data.get("text/html", "")) for name, data in result.items()}
    assert "<td>first, second</td>" in html["dataset"]
    assert re.search(r"epoch 0, 0 of \d+ batches are given", html["loader"])
    assert html["batch"].count("<img") == 4
    assert html["sample"].count("<img") == 1
    assert "<th>refused because</th>" in html["tally"]
    assert html["shards"].startswith("<div><b>ShardDataset: samples=")
    assert base64.b64decode(result["sheet"]["image/png"]).startswith(PNG)
    assert html["report"] == '<a href="my%20report.html" target="_blank">my report.html</a>'
    assert {name: len(some) for name, some in outputs.items() if len(some) > 1} == {"tally": 2, "report": 2}
    progress = outputs["tally"][0]["data"]["text/html"]
    assert re.findall(r"<td>(\w+)</td><td><progress", progress) == ["one", "two"]
    assert "left" not in progress  # the last state
    assert outputs["report"][0]["data"]["text/html"] == ""
