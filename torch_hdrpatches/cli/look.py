"""The commands that look and plan, and export nothing."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..analysis.bench import Bench
from ..analysis.bench import bench as measure
from ..analysis.contact_sheet import contact_sheet
from ..analysis.forecast import Forecast, forecast
from ..analysis.html_report import html_report
from ..analysis.reproduce import random_keys
from ..analysis.reproduce import reproduce as reproduce_samples
from ..analysis.split import audit as audit_recipes
from ..analysis.split import split as split_recipe
from ..errors import RecipeError
from ..probe.verdict import verdict_on
from ..recipe.convert import convert as convert_old
from ..recipe.recipe import Recipe
from ..recipe.starter import starter
from ..recipe.toml import recipe_toml
from ..sampling.stream import PatchStream
from .display import FAILED, SOME_MOVIES_FAILED, console, duration, size, verdict_table

app = typer.Typer()

Source = Annotated[Path, typer.Argument(help="A recipe (TOML or JSON).")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


class SplitBy(StrEnum):
    """How ``split`` divides."""

    movie = "movie"
    time = "time"


@app.command()
def init(
    movies: Annotated[
        list[Path], typer.Argument(help="Files, and folders that are searched; folders name categories.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The recipe to write.")] = Path("recipe.toml"),
) -> None:
    """Write a commented starter recipe for files or folders, and say what was refused."""
    _refuse_to_overwrite(out)
    written = starter(movies, out.parent)
    out.write_text(written.text, encoding="utf-8")
    for path, why in written.refused.items():
        console.print(f"[yellow]left out[/] {escape(str(path))}: {escape(why)}", soft_wrap=True, highlight=False)
    console.print(
        f"wrote {out} with {len(written.used)} movie{'s' * (len(written.used) != 1)}; next: hdrpatches plan {out}",
        soft_wrap=True,
    )


@app.command()
def probe(
    movies: Annotated[list[str], typer.Argument(help="Movie files.")],
    as_json: AsJson = False,
) -> None:
    """Say what movies are, and whether they can be used."""
    verdicts = [verdict_on(path) for path in movies]
    if as_json:
        console.print_json(json.dumps([verdict.to_json() for verdict in verdicts]))
    else:
        console.print(verdict_table(verdicts))
    if any(verdict.facts is None for verdict in verdicts):
        raise typer.Exit(SOME_MOVIES_FAILED)


@app.command()
def plan(
    recipe: Source,
    seconds: Annotated[float, typer.Option(min=0, help="How long to measure.")] = 4.0,
    workers: Annotated[int, typer.Option(min=1, help="Processes of the export.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Say what a recipe will give: samples, bytes, time, and what stands in the way."""
    found = forecast(PatchStream(recipe), seconds=seconds)
    if as_json:
        console.print_json(json.dumps(found.to_json()))
    else:
        _show_forecast(found, workers)
    if found.failures:
        raise typer.Exit(SOME_MOVIES_FAILED)


@app.command()
def preview(
    source: Annotated[str, typer.Argument(help="A recipe, or an exported folder or its URL.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The .png or .html to write.")] = Path("contact-sheet.png"),
    rows: Annotated[int | None, typer.Option(min=1, help="Samples shown; 8 on a sheet, 48 in a report.")] = None,
) -> None:
    """Draw a contact sheet (.png), or write a report that opens in any browser (.html)."""
    if out.suffix not in (".png", ".html"):
        raise RecipeError(f"{out}: expected a name that ends in .png or .html")
    draw = contact_sheet(source, out, rows=rows or 8) if out.suffix == ".png" else html_report(source, out, rows or 48)
    console.print(f"look at {draw}", soft_wrap=True)


@app.command()
def convert(
    old: Annotated[Path, typer.Argument(help="The old generator's generator_config.json.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The recipe to write.")] = Path("recipe.toml"),
) -> None:
    """Bring the old generator's settings over, and say what became of each."""
    _refuse_to_overwrite(out)
    converted = convert_old(old)
    out.write_text(converted.text, encoding="utf-8")
    table = Table("old setting", "value", "became", show_lines=False)
    for note in converted.notes:
        style = None if note.applies else "yellow"
        table.add_row(
            note.setting, note.value, note.became if note.applies else f"not applicable: {note.became}", style=style
        )
    console.print(table)
    missing = [movie.path for movie in converted.recipe.movies if not Path(movie.path).exists()]
    if missing:
        console.print(
            f"[yellow]{len(missing)} of {len(converted.recipe.movies)} movies are not here[/], e.g. {missing[0]}"
        )
    console.print(f"wrote {out}", soft_wrap=True)


@app.command()
def reproduce(
    out: Annotated[str, typer.Argument(help="An exported folder, or its URL.")],
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of samples.")] = None,
    draw: Annotated[int, typer.Option("--random", min=0, help="As many keys, drawn at random.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the drawing.")] = 0,
    recipe: Annotated[Path | None, typer.Option(help="A recipe that says where the movies lie now.")] = None,
) -> None:
    """Make samples again from their movies, and say whether they are equal."""
    wanted = [*(keys or []), *random_keys(out, draw, seed)]
    if not wanted:
        raise RecipeError("which sample? Give keys, or --random N")
    differ = 0
    for key, differences in reproduce_samples(out, wanted, recipe=recipe):
        differ += bool(differences)
        console.print(f"{key}: {'; '.join(differences) or 'equal'}", highlight=False, soft_wrap=True, markup=False)
    console.print(f"{len(wanted) - differ} of {len(wanted)} are equal")
    if differ:
        raise typer.Exit(FAILED)


@app.command()
def split(
    recipe: Source,
    by: Annotated[SplitBy, typer.Option(help="Whole movies, or a stretch of each between cuts.")] = SplitBy.movie,
    share: Annotated[float, typer.Option(help="Of the slots, for validation.")] = 0.1,
    gap: Annotated[float, typer.Option(min=0, help="Seconds left out round each cut, with --by time.")] = 2.0,
) -> None:
    """Write RECIPE.train.toml and RECIPE.validation.toml without a shared shot, and prove it."""
    parts = split_recipe(Recipe.load(recipe), share=share, by=by.value, gap=gap)
    names = [recipe.with_name(f"{recipe.stem}.{part}.toml") for part in ("train", "validation")]
    for path, part in zip(names, parts, strict=True):
        _refuse_to_overwrite(path)
        path.write_text(recipe_toml(part, f"Split from {recipe.name} by {by.value}."), encoding="utf-8")
        console.print(f"wrote {path} with {len(part.movies)} movies", soft_wrap=True)
    _audited(*parts)


@app.command()
def audit(
    train: Annotated[Path, typer.Argument(help="A recipe to train on.")],
    validation: Annotated[Path, typer.Argument(help="A recipe to validate with.")],
) -> None:
    """Look in the movies whether two recipes share a shot."""
    _audited(Recipe.load(train), Recipe.load(validation))


def _audited(train: Recipe, validation: Recipe) -> None:
    findings = audit_recipes(train, validation)
    for finding in findings:
        mark = "[green]apart[/]" if finding.proved else "[red]not proved[/]"
        console.print(f"{mark} {finding.movie}: {finding.text}", soft_wrap=True, highlight=False)
    if not all(finding.proved for finding in findings):
        raise typer.Exit(FAILED)


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        raise RecipeError(f"{path} is there already; move it away, or give another name with -o")


def _show_forecast(found: Forecast, workers: int) -> None:
    table = Table("category", "samples", "target", "per epoch", "epochs", "formats", "size")
    for one in found.categories:
        formats = ", ".join(f"{name} {count}" for name, count in one.formats.items())
        target = "–" if one.target is None else str(one.target)
        table.add_row(
            one.name, str(one.samples), target, f"{one.per_epoch:.0f}", f"{one.epochs:.1f}", formats, size(one.bytes)
        )
    console.print(table)
    for problem in found.problems:
        console.print(f"[yellow]note[/] {escape(problem)}", soft_wrap=True, highlight=False)
    for movie, reason in found.failures.items():
        console.print(f"[red]{movie} gives nothing[/]: {escape(reason)}", soft_wrap=True, highlight=False)
    refused = ", ".join(f"{count} {reason}" for reason, count in found.rejects.items()) or "nothing refused"
    total = sum(one.samples for one in found.categories)
    console.print(
        f"{total} samples, about {size(found.bytes)} in {found.shards} shards, from {found.slots} slots of "
        f"{found.movies} movie{'s' * (found.movies != 1)}; about {duration(found.seconds / workers)} with {workers} "
        f"process{'es' if workers > 1 else ''} on this machine (measured on {found.measured} slots: {refused})",
        soft_wrap=True,
        highlight=False,
    )


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
