"""The program ``hdrpatches``: its commands, and the exit code and message of each error."""

from __future__ import annotations

import signal
import sys
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from typer.exceptions import TyperException

from ..errors import HDRPatchesError, RecipeError
from ..storage.paths import plain_path
from . import exports, recipes
from .output import ExitCode, say

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(recipes.app)
app.add_typer(exports.app)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"torch_hdrpatches {version('torch_hdrpatches')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Turn HDR movies into training patches for video super-resolution."""


def main() -> None:
    """Run a command. An error of this package becomes one line on stderr and an exit code."""
    try:
        code = app(list(map(_with_plain_path, sys.argv[1:])), standalone_mode=False)
    except TyperException as error:
        _stop(error.format_message(), ExitCode.BAD_RECIPE)
    except HDRPatchesError as error:
        _stop(str(error), ExitCode.BAD_RECIPE if isinstance(error, RecipeError) else ExitCode.FAILED)
    except (KeyboardInterrupt, typer.Abort):
        code = ExitCode.INTERRUPTED
    if code == ExitCode.INTERRUPTED:  # typer returns this code as well
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _stop("interrupted; run the same command again to resume", ExitCode.INTERRUPTED)
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)


def _with_plain_path(argument: str) -> str:
    """An argument without the ``~`` and ``$NAME`` that the shell has left in it, as it does in ``--out=~/x``."""
    option, equals, value = argument.partition("=")
    is_option = argument.startswith("-") and equals
    return f"{option}={plain_path(value)}" if is_option else plain_path(argument)


def _stop(message: str, code: int) -> NoReturn:
    Console(stderr=True).print(message, style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
