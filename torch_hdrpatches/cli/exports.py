"""Commands that write shards, or read them: export, unpack, tally, verify, reproduce, and the demo."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .. import analysis, exporter
from ..analysis.reproduce import random_keys
from ..errors import RecipeError
from ..exporter.display import counted, shown
from ..exporter.job import Job
from ..exporter.processes import Executor, on_this_machine
from ..exporter.unpack import LayoutName
from ..recipe.recipe import Recipe
from ..sampling.tally import Tally
from ..shards.manifest import sidecars, tally_of
from ..storage.disk_errors import as_export_error
from ..testing.movie import MovieSpec, write_movie
from .output import AsJson, ExitCode, RecipeFile, console, say, show_tally

app = typer.Typer()

Exported = Annotated[str, typer.Argument(help="An exported folder, or its URL.")]
MovedRecipe = Annotated[Path | None, typer.Option(help="A recipe with the new paths of the movies, if they moved.")]


DEMO_MOVIE = MovieSpec(
    height=1080,
    width=1920,
    frames=504,
    cuts=(96, 190, 300, 410),
    bars=(138, 138, 0, 0),
    numbers=False,
    keyint=120,
    crf=20,
)
"""21 seconds of HDR10 with black bars (2.35:1) and cuts between keyframes."""

DEMO_RECIPE = """\
# What the demo exports. Every key is explained in docs/recipe.md.
seed = 0

[sampling]
timestamps_per_movie = 32   # evenly spaced moments of the movie; 3000 is the default for a whole film

[shards]
runs = 2                    # runs of eight neighbouring slots per shard; 32 is the default

[categories.master]
formats = { small_540 = 0.6, medium_169 = 0.4 }

[categories.space]
target = 20                 # stop at this many samples
formats = { small_540 = 1.0 }

[[movies]]
path = "demo.mkv"
categories = { master = 1.0, space = 0.8 }
"""


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="Folder for the movie, its shards and the contact sheet.")] = Path("demo"),
) -> None:
    """Make a small HDR10 movie, export it, and draw a contact sheet. Needs no input."""
    recipe = make_demo(out)
    say(f"wrote {out / 'demo.mkv'} and {recipe}")
    tally = exporter.export(recipe, out / "shards", workers=2)
    sheet = analysis.contact_sheet(out / "shards", out / "contact-sheet.png")
    show_tally(tally)
    say(f"look at {sheet}")


def make_demo(folder: Path) -> Path:
    """Write ``recipe.toml``, and ``demo.mkv`` if it does not exist, into a folder; returns the recipe's path."""
    folder.mkdir(parents=True, exist_ok=True)
    movie, recipe = folder / "demo.mkv", folder / "recipe.toml"
    if not movie.exists():
        partial = movie.with_name(f"demo.partial-{os.getpid()}.mkv")  # another process may be writing the same movie
        write_movie(partial, DEMO_MOVIE)
        partial.replace(movie)
    recipe.write_text(DEMO_RECIPE, encoding="utf-8")
    return recipe


@app.command()
def export(
    recipe: RecipeFile,
    out: Annotated[str, typer.Argument(help="Folder for the shards, or its URL.")],
    workers: Annotated[int, typer.Option(min=1, help="Number of processes, or of Ray tasks at a time.")] = 1,
    executor: Annotated[
        Literal["processes", "ray"],
        typer.Option(help="Run jobs in processes of this machine, or on the Ray cluster at RAY_ADDRESS."),
    ] = "processes",
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many samples per category.")] = None,
    gt: Annotated[
        Literal["centre", "sequence"], typer.Option(help="Ground truth: the centre frame, or all frames of the window.")
    ] = "centre",
    part: Annotated[
        str | None, typer.Option(metavar="I/N", help="Run only every N-th job, starting with job I (0 to N-1).")
    ] = None,
    finish: Annotated[bool, typer.Option("--finish", help="Put the shards of all parts in place.")] = False,
    extend: Annotated[bool, typer.Option("--extend", help="Allow targets higher than in the existing export.")] = False,
    log_json: Annotated[
        Path | None, typer.Option(help="Append progress to this file, one JSON object per line.")
    ] = None,
) -> None:
    """Export a recipe's samples to WebDataset shards. Run the same command again to resume."""
    if finish and part:
        raise RecipeError("--part and --finish exclude each other: run all parts first, then --finish")
    with as_export_error(out):
        if finish:
            tally = exporter.finish_parts(recipe, out, limit=limit, gt=gt)
        else:
            engine: Executor[Job, Any] = exporter.on_ray(workers) if executor == "ray" else on_this_machine(workers)
            begun = tally_of(out) if sidecars(out) and not part else Tally()
            run = partial(exporter.export_part, part=exporter.Part.parse(part)) if part else exporter.export
            with shown(Recipe.load(recipe).resolved(), begun, limit=limit, log_json=log_json) as watched:
                engine = watched.around(engine)
                tally = run(recipe, out, executor=engine, limit=limit, extend=extend, progress=watched.committed, gt=gt)
    show_tally(tally)
    if part:
        say(f"part {part} is done; after all parts: hdrpatches export {recipe} {out} --finish")
    if tally.failures:
        raise typer.Exit(ExitCode.SOME_MOVIES_FAILED)


@app.command()
def unpack(
    out: Exported,
    folder: Annotated[Path, typer.Argument(help="Folder for the images; a folder of its own.")],
    layout: Annotated[
        LayoutName,
        typer.Option(help="Names of the images, as BasicSR reads them; scenes: as traiNNer-redux reads videos."),
    ],
    category: Annotated[str | None, typer.Option(help="Samples of this category only.")] = None,
    format: Annotated[str | None, typer.Option(help="Samples of this format only.")] = None,
    lmdb: Annotated[bool, typer.Option("--lmdb", help="Write two LMDBs instead of PNG files.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
) -> None:
    """Write exported samples as images, for trainers that read folders. Run the same command again to resume."""
    made = exporter.unpack(
        out, folder, layout, category=category, format=format, lmdb=lmdb, executor=on_this_machine(workers)
    )
    say(f"{counted(made.samples, 'sample')}, {counted(made.images, 'image')} in {folder}")
    say(f"scale: {made.scale}, gt_size: {made.largest_crop} or less")


@app.command()
def tally(
    out: Annotated[str, typer.Argument(help="An exported folder or its URL; the export may be unfinished.")],
    as_json: AsJson = False,
) -> None:
    """Count the samples of an exported folder."""
    if as_json:
        console.print_json(data=tally_of(out).counts())
    else:
        show_tally(tally_of(out))


@app.command()
def verify(
    out: Exported,
    mend: Annotated[bool, typer.Option("--repair", help="Export damaged shards again.")] = False,
    recipe: MovedRecipe = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
) -> None:
    """Read every file of an exported folder, and list damage."""
    problems = exporter.verify(out, executor=on_this_machine(workers))
    _list(problems)
    if problems and mend:
        problems = exporter.repair(out, problems, recipe=recipe, workers=workers)
        say("after the repair:")
        _list(problems)
    if problems:
        raise typer.Exit(ExitCode.FAILED)


def _list(problems: Sequence[object]) -> None:
    for problem in problems:
        say(str(problem), "red")
    say(counted(len(problems), "problem") if problems else "no problems")


@app.command()
def reproduce(
    out: Exported,
    keys: Annotated[list[str] | None, typer.Argument(help="Keys of samples.")] = None,
    draw: Annotated[int, typer.Option("--random", min=0, help="Number of keys to draw at random.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of --random.")] = 0,
    recipe: MovedRecipe = None,
) -> None:
    """Make exported samples again from their movies, and compare."""
    wanted = [*(keys or []), *random_keys(out, draw, seed)]
    if not wanted:
        raise RecipeError("no samples to reproduce: give keys, or --random N")
    differ = 0
    for key, differences in analysis.reproduce(out, wanted, recipe=recipe):
        differ += bool(differences)
        say(f"{key}: {'; '.join(differences) or 'equal'}")
    say(f"{len(wanted) - differ} of {len(wanted)} are equal")
    if differ:
        raise typer.Exit(ExitCode.FAILED)
