"""Commands that write shards, or read them: export, tally, verify, reproduce, and the demo."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..analysis.contact_sheet import contact_sheet
from ..analysis.reproduce import random_keys
from ..analysis.reproduce import reproduce as reproduce_samples
from ..errors import RecipeError
from ..exporter.export import export as export_shards
from ..exporter.job import Job, JobRecord
from ..exporter.parts import Part, export_part, finish_parts
from ..exporter.processes import Executor, on_this_machine
from ..exporter.ray import on_ray
from ..exporter.repair import repair
from ..exporter.verify import Problem
from ..exporter.verify import verify as find_problems
from ..recipe.recipe import Recipe
from ..sampling.tally import Tally
from ..shards.manifest import sidecars, tally_of
from ..storage.disk_errors import as_export_error
from .demo import make_demo
from .output import ExitCode, console, counted, say, show_tally
from .progress import shown

app = typer.Typer()

Exported = Annotated[str, typer.Argument(help="An exported folder, or its URL.")]
MovedRecipe = Annotated[Path | None, typer.Option(help="A recipe with the new paths of the movies, if they moved.")]


class Engine(StrEnum):
    """What runs the jobs of an export."""

    processes = "processes"
    ray = "ray"


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="Folder for the movie, its shards and the contact sheet.")] = Path("demo"),
) -> None:
    """Make a small HDR10 movie, export it, and draw a contact sheet. Needs no input."""
    recipe = make_demo(out)
    say(f"wrote {out / 'demo.mkv'} and {recipe}")
    tally = export_shards(recipe, out / "shards", workers=2)
    sheet = contact_sheet(out / "shards", out / "contact-sheet.png")
    show_tally(tally)
    say(f"look at {sheet}")


@app.command()
def export(
    recipe: Annotated[Path, typer.Argument(help="Recipe file (TOML or JSON).")],
    out: Annotated[str, typer.Argument(help="Folder for the shards, or its URL.")],
    workers: Annotated[int, typer.Option(min=1, help="Number of processes, or of Ray tasks at a time.")] = 1,
    executor: Annotated[
        Engine, typer.Option(help="Run jobs in processes of this machine, or on the Ray cluster at RAY_ADDRESS.")
    ] = Engine.processes,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many samples per category.")] = None,
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
            tally = finish_parts(recipe, out, limit=limit)
        else:
            engine: Executor[Job, JobRecord] = (on_ray if executor is Engine.ray else on_this_machine)(workers)
            begun = tally_of(out) if sidecars(out) and not part else Tally()
            run = partial(export_part, part=Part.parse(part)) if part else export_shards
            with shown(Recipe.load(recipe).resolved(), begun, limit=limit, log_json=log_json) as watched:
                tally = run(
                    recipe,
                    out,
                    executor=watched.around(engine),
                    limit=limit,
                    extend=extend,
                    progress=watched.committed,
                )
    show_tally(tally)
    if part:
        say(f"part {part} is done; after all parts: hdrpatches export {recipe} {out} --finish")
    if tally.failures:
        raise typer.Exit(ExitCode.SOME_MOVIES_FAILED)


@app.command()
def tally(
    out: Annotated[str, typer.Argument(help="An exported folder or its URL; the export may be unfinished.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count the samples of an exported folder."""
    if as_json:
        console.print_json(json.dumps(tally_of(out).counts()))
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
    problems = find_problems(out, executor=on_this_machine(workers))
    _list(problems)
    if problems and mend:
        problems = repair(out, problems, recipe=recipe, workers=workers)
        say("after the repair:")
        _list(problems)
    if problems:
        raise typer.Exit(ExitCode.FAILED)


def _list(problems: Sequence[Problem]) -> None:
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
    for key, differences in reproduce_samples(out, wanted, recipe=recipe):
        differ += bool(differences)
        say(f"{key}: {'; '.join(differences) or 'equal'}")
    say(f"{len(wanted) - differ} of {len(wanted)} are equal")
    if differ:
        raise typer.Exit(ExitCode.FAILED)
