"""A module imports only from floors below its own; third parties have one home each; the front door is what it says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import torch_hdrpatches

PACKAGE = Path(torch_hdrpatches.__file__).parent
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")

# From the ground up.
FLOORS = (
    "_testing_scenery augment caching color errors frames logs memory packets rng terminal watchdog workers",
    "_testing_signal charts crop cursor curves diskerrors executors jit metadata planes stores",
    "_testing_paint blocks measures png ranges ray_tasks storage tables taps",
    "_testing_picture container degrade kernel pictures resample scene tarindex",
    "compression corrupt settings source testing tonemap",
    "demo recipe stretch survey",
    "demux facts plan toml",
    "counting factcache geometry legacy seeking verdict",
    "problems sample starter verdict_table video",
    "adapters examine identity shards stream",
    "forecast split tally transport",
    "epochs manifest",
    "claim dataset exported fetching jobs reading verify",
    "batching bench commit evidence progress report reproduce",
    "cli_bench export html_pictures loader",
    "html_report parts repair",
    "cli_look",
    "cli",
)
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules.split()}

HOMES = {
    "av": {
        "container",
        "source",
        "seeking",
        "counting",
        "stretch",
        "facts",
        "survey",
        "logs",
        "metadata",
        "packets",
        "planes",
        "compression",
        "testing",
    },
    "typer": {"cli", "cli_bench", "cli_look"},
    "rich": {"cli", "cli_bench", "cli_look", "progress", "terminal", "verdict_table"},
    "matplotlib": {"charts"},
    "jinja2": {"html_report"},
    "pydantic": {"recipe", "settings"},
    "isal": {"png"},
    "webdataset": set(),
}


def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


def imports(module: str) -> set[str]:
    """Modules of this package that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch_hdrpatches"):
            found.add((node.module or "").partition(".")[2])
    return found


def third_parties(module: str) -> set[str]:
    """Top-level names of other packages that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_module_has_a_floor():
    assert set(FLOOR) == set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_floors_below(module):
    assert {other for other in imports(module) if FLOOR[other] >= FLOOR[module]} == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_opens_with_one_sentence(module):
    first = (ast.get_docstring(tree(module)) or "").splitlines()[0]
    assert first.endswith((".", ":")) or first.endswith(("``.", "``"))
    assert len(first) > 20


@pytest.mark.parametrize(("package", "homes"), HOMES.items())
def test_third_parties_have_one_home(package, homes):
    assert {module for module in MODULES if package in third_parties(module)} <= homes


def test_the_front_door_is_sorted_and_opens():
    assert sorted(torch_hdrpatches.__all__) == torch_hdrpatches.__all__
    for name in torch_hdrpatches.__all__:
        assert getattr(torch_hdrpatches, name).__module__.startswith("torch_hdrpatches.")
