"""The command that measures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from .bench import Bench
from .bench import bench as measure
from .recipe import Recipe
from .terminal import console

app = typer.Typer()


@app.command()
def bench(
    sources: Annotated[list[str], typer.Argument(help="A recipe, or movie files.")],
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to measure each number of workers.")] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Measure your movies on your machine, and say how many workers to use."""
    is_recipe = len(sources) == 1 and Path(sources[0]).suffix in (".toml", ".json")
    found = measure(Recipe.load(sources[0]) if is_recipe else Recipe.of(sources), seconds=seconds)
    if as_json:
        console.print_json(json.dumps(found.to_json()))
    else:
        _show(found)


def _show(found: Bench) -> None:
    threads = f"{found.decoder_threads} decoder thread{'s' * (found.decoder_threads != 1)}"
    console.print(
        f"{found.live_ms:.0f} ms per timestamp in one process with {threads}, {found.decode_ms:.0f} ms of it decoding "
        f"({found.timestamps} timestamps, {found.cores} cores)"
    )
    rates = Table("workers", "samples/s", "counted")
    for rate in found.rates:
        mark = " [green]<- take this[/]" if rate is found.best else ""
        rates.add_row(str(rate.workers), f"{rate.samples_per_second:.1f}{mark}", str(rate.samples))
    console.print(rates)
    codecs = Table("shard codec", "encode ms", "decode ms", "kB per sample")
    for cost in found.codecs:
        codecs.add_row(cost.codec, f"{cost.encode_ms:.1f}", f"{cost.decode_ms:.1f}", f"{cost.kilobytes:.0f}")
    console.print(codecs)
    console.print(
        f"PatchLoader(dataset, num_workers={found.best.workers}); a trainer that takes more than "
        f"{found.best.samples_per_second:.0f} samples/s on this machine wants shards: hdrpatches export"
    )
