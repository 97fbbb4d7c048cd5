"""The command line: ``hdrpatches``."""

from __future__ import annotations

import json
import math
import signal
import sys
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.exceptions import TyperException

from ..analysis.contact_sheet import contact_sheet
from ..errors import HDRPatchesError, RecipeError
from ..exporter.export import export as export_shards
from ..exporter.job import Job
from ..exporter.parts import Part, export_part, finish_parts
from ..exporter.processes import Executor, on_this_machine
from ..exporter.ray import on_ray
from ..exporter.repair import repair
from ..exporter.verify import Problem
from ..exporter.verify import verify as find_problems
from ..recipe.recipe import Recipe
from ..sampling.tally import Tally
from ..shards.manifest import sidecars, tally_of
from ..storage.disk_errors import explained
from .demo import make_demo
from .display import BAD_RECIPE, DONE, FAILED, INTERRUPTED, SOME_MOVIES_FAILED, console, shown
from .look import app as looking
from .look import app as measuring

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


class Engine(StrEnum):
    """Who does the work."""

    processes = "processes"
    ray = "ray"


def main() -> None:
    """Run a command; errors of this package become one line and an exit code."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it is ignored below nohup, say
        signal.signal(signal.SIGINT, _once())
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        _stop(error.format_message(), BAD_RECIPE)
    except RecipeError as error:
        _stop(str(error), BAD_RECIPE)
    except HDRPatchesError as error:
        _stop(str(error), FAILED)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:  # as typer says it
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _stop("interrupted; the same export command goes on where this one stopped", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else DONE)


def _once() -> Callable[[int, FrameType | None], None]:
    """A handler of Ctrl-C for the impatient: presses within a second of another are one."""
    pressed = -math.inf

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        before, pressed = pressed, time.monotonic()
        if pressed - before > 1.0:
            raise KeyboardInterrupt

    return interrupt


def _stop(message: str, code: int) -> None:
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="Folder for the movie, its shards and the contact sheet.")] = Path("demo"),
) -> None:
    """Write a small HDR10 movie, export it, and show what came of it. Needs no input."""
    recipe = make_demo(out)
    console.print(f"wrote {out / 'demo.mkv'} and {recipe}")
    tally = export_shards(recipe, out / "shards", workers=2)
    sheet = contact_sheet(out / "shards", out / "contact-sheet.png")
    _show(tally)
    console.print(f"look at {sheet}")


@app.command()
def export(
    recipe: Annotated[Path, typer.Argument(help="A recipe (TOML or JSON).")],
    out: Annotated[str, typer.Argument(help="Folder for the shards, or its URL.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes, or Ray tasks at a time.")] = 1,
    executor: Annotated[
        Engine, typer.Option(help="ray: on the cluster that RAY_ADDRESS names, else on this machine.")
    ] = Engine.processes,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many samples per category.")] = None,
    part: Annotated[
        str | None, typer.Option(metavar="I/N", help="Only every N-th job, 0/N to N-1/N; then --finish.")
    ] = None,
    finish: Annotated[bool, typer.Option("--finish", help="Put in place what the parts have made.")] = False,
    extend: Annotated[bool, typer.Option("--extend", help="Targets may be higher than they were.")] = False,
    log_json: Annotated[
        Path | None, typer.Option(help="A file that progress is added to, a JSON line per event.")
    ] = None,
) -> None:
    """Write the stream of a recipe into WebDataset shards; run again to go on."""
    if finish and part:
        raise RecipeError("--part makes a part and --finish puts all in place: give one of them")
    with explained(out):
        if finish:
            made = finish_parts(recipe, out, limit=limit)
        else:
            engine: Executor[Job, None] = (on_ray if executor is Engine.ray else on_this_machine)(workers)
            begun = tally_of(out) if sidecars(out) and not part else Tally()
            with shown(Recipe.load(recipe).resolved(), begun, limit=limit, log_json=log_json) as watched:
                run = partial(export_part, part=Part.parse(part)) if part else export_shards
                made = run(
                    recipe,
                    out,
                    executor=watched.around(engine),
                    limit=limit,
                    extend=extend,
                    progress=watched.committed,
                )
    _show(made)
    if part:
        console.print(f"part {part} waits in {out}; when all have been done: hdrpatches export {recipe} {out} --finish")
    if made.failures:
        raise typer.Exit(SOME_MOVIES_FAILED)


@app.command()
def tally(
    out: Annotated[str, typer.Argument(help="An exported folder or its URL, finished or not.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Count what an exported folder holds."""
    if as_json:
        console.print_json(json.dumps(tally_of(out).counts()))
    else:
        _show(tally_of(out))


@app.command()
def verify(
    out: Annotated[str, typer.Argument(help="An exported folder, or its URL.")],
    mend: Annotated[bool, typer.Option("--repair", help="Export again what is bad.")] = False,
    recipe: Annotated[Path | None, typer.Option(help="A recipe that says where the movies lie now.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Read all of an exported folder, and say what is wrong with it."""
    problems = find_problems(out, executor=on_this_machine(workers))
    _list(problems)
    if problems and mend:
        problems = repair(out, problems, recipe=recipe, workers=workers)
        console.print("after the repair:")
        _list(problems)
    if problems:
        raise typer.Exit(FAILED)


app.add_typer(looking)
app.add_typer(measuring)


def _list(problems: Sequence[Problem]) -> None:
    for problem in problems:
        console.print(str(problem), style="red", markup=False, highlight=False, soft_wrap=True)
    console.print(f"{len(problems)} problems" if problems else "all is well")


def _show(tally: Tally) -> None:
    for what in ("category", "format"):
        table = Table(what, "samples")
        for name, count in tally.by(what).items():
            table.add_row(name, str(count))
        console.print(table)
    table = Table("movie", "samples", "refused windows")
    for name, counts in tally.by_movie().items():
        refused = ", ".join(f"{count} {reason}" for reason, count in counts["rejects"].items())
        table.add_row(name, str(counts["samples"]), refused)
    console.print(table)
    if reasons := tally.reasons():
        table = Table("refused because", "windows")
        for reason, count in reasons.items():
            table.add_row(reason, str(count))
        console.print(table)
    for movie, reason in sorted(tally.failures.items()):
        console.print(f"[red]{movie} gave nothing[/]: {escape(reason)}", soft_wrap=True, highlight=False)
    console.print(f"{tally.total} samples from {tally.slots} slots; {tally.windows} windows were decoded")
