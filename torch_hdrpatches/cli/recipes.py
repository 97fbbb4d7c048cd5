"""Commands that come before an export: look at movies, write recipes and check them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .. import analysis
from ..analysis.bench import bench as measure
from ..analysis.split import By
from ..errors import RecipeError
from ..exporter.display import counted
from ..probe.verdict import verdict_on
from ..recipe.convert import convert as convert_old
from ..recipe.recipe import Recipe
from ..recipe.starter import starter
from ..recipe.toml import recipe_toml
from ..sampling.stream import PatchStream
from .output import AsJson, ExitCode, RecipeFile, console, say, show_bench, show_forecast, show_verdicts

app = typer.Typer()

NewRecipe = Annotated[Path, typer.Option("-o", "--out", help="The recipe to write.")]


@app.command()
def init(
    movies: Annotated[
        list[Path], typer.Argument(help="Movie files, or folders to search; a folder's name becomes a category.")
    ],
    out: NewRecipe = Path("recipe.toml"),
    scale: Annotated[int, typer.Option(help="How many times smaller lq is than gt.")] = 3,
) -> None:
    """Write a commented starter recipe for movie files or folders."""
    _refuse_to_overwrite(out)
    written = starter(movies, out.parent, scale)
    out.write_text(written.text, encoding="utf-8")
    for path, why in written.refused.items():
        say(f"[yellow]left out[/] {escape(path)}: {escape(why)}", markup=True)
    say(f"wrote {out} with {counted(len(written.used), 'movie')}; next: hdrpatches plan {out}")


@app.command()
def probe(movies: Annotated[list[str], typer.Argument(help="Movie files.")], as_json: AsJson = False) -> None:
    """Show the properties of movies, and whether they can be used."""
    verdicts = [verdict_on(path) for path in movies]
    if as_json:
        console.print_json(data=[verdict.to_json() for verdict in verdicts])
    else:
        show_verdicts(verdicts)
    if any(verdict.facts is None for verdict in verdicts):
        raise typer.Exit(ExitCode.SOME_MOVIES_FAILED)


@app.command()
def plan(
    recipe: RecipeFile,
    seconds: Annotated[float, typer.Option(min=0, help="How long to measure.")] = 4.0,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes of the export.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Estimate what a recipe will give (samples, bytes, time), and point out problems. Decodes a few windows."""
    found = analysis.forecast(PatchStream(recipe), seconds=seconds)
    if as_json:
        console.print_json(data=found.to_json())
    else:
        show_forecast(found, workers)
    if found.failures:
        raise typer.Exit(ExitCode.SOME_MOVIES_FAILED)


@app.command()
def preview(
    source: Annotated[str, typer.Argument(help="A recipe file, an exported folder, or the URL of one.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The .png or .html to write.")] = Path("contact-sheet.png"),
    rows: Annotated[
        int | None, typer.Option(min=1, help="Number of samples; default 8 on a contact sheet, 48 in a report.")
    ] = None,
) -> None:
    """Show samples of a recipe or an export on a contact sheet (.png), or in a report for the browser (.html)."""
    match out.suffix:
        case ".png":
            analysis.contact_sheet(source, out, rows=rows or 8)
        case ".html":
            analysis.html_report(source, out, rows or 48)
        case _:
            raise RecipeError(f"{out}: expected a name that ends in .png or .html")
    say(f"look at {out}")


@app.command()
def split(
    recipe: RecipeFile,
    by: Annotated[By, typer.Option(help="Whole movies, or one part of each movie between two cuts.")] = "movie",
    share: Annotated[float, typer.Option(help="Share of the slots that go into validation.")] = 0.1,
    gap: Annotated[float, typer.Option(min=0, help="With --by time: seconds to leave out around each cut.")] = 2.0,
) -> None:
    """Write RECIPE.train.toml and RECIPE.validation.toml that share no shot, and check them as `audit` does."""
    parts = analysis.split(Recipe.load(recipe), share=share, by=by, gap=gap)
    paths = [recipe.with_name(f"{recipe.stem}.{part}.toml") for part in ("train", "validation")]
    for path, part in zip(paths, parts, strict=True):
        _refuse_to_overwrite(path)
        path.write_text(recipe_toml(part, f"Split from {recipe.name} by {by}."), encoding="utf-8")
        say(f"wrote {path} with {counted(len(part.movies), 'movie')}")
    audit(*paths)


@app.command()
def audit(
    train: Annotated[Path, typer.Argument(help="Recipe for training.")],
    validation: Annotated[Path, typer.Argument(help="Recipe for validation.")],
) -> None:
    """Check that two recipes share no shot, by looking for cuts in the movies."""
    findings = analysis.audit(Recipe.load(train), Recipe.load(validation))
    for finding in findings:
        mark = "[green]apart[/]" if finding.proved else "[red]not proved[/]"
        say(f"{mark} {finding.movie}: {escape(finding.text)}", markup=True)
    if not all(finding.proved for finding in findings):
        raise typer.Exit(ExitCode.FAILED)


@app.command()
def convert(
    old: Annotated[Path, typer.Argument(help="The old generator's generator_config.json.")],
    out: NewRecipe = Path("recipe.toml"),
) -> None:
    """Convert the old generator's settings to a recipe, and list what became of each setting."""
    _refuse_to_overwrite(out)
    converted = convert_old(old)
    out.write_text(converted.text, encoding="utf-8")
    table = Table("old setting", "value", "became")
    for note in converted.notes:
        became = note.became if note.applies else f"not applicable: {note.became}"
        table.add_row(note.setting, note.value, became, style=None if note.applies else "yellow")
    console.print(table)
    missing = [movie.path for movie in converted.recipe.movies if not Path(movie.path).exists()]
    if missing:
        count = f"{len(missing)} of {len(converted.recipe.movies)}"
        console.print(f"[yellow]{count} movies do not exist here[/], e.g. {missing[0]}")
    say(f"wrote {out}")


@app.command()
def bench(
    sources: Annotated[list[str], typer.Argument(help="A recipe file, or movie files.")],
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to measure each number of workers.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine makes samples of your movies, and recommend a number of workers."""
    is_recipe = len(sources) == 1 and Path(sources[0]).suffix in (".toml", ".json", ".yaml", ".yml")
    found = measure(Recipe.load(sources[0]) if is_recipe else Recipe.of(sources), seconds=seconds)
    if as_json:
        console.print_json(data=found.to_json())
    else:
        show_bench(found)


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists():
        raise RecipeError(f"{path} exists already; move it away, or choose another name with -o")
