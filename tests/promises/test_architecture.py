"""A room imports only from rooms below, rooms and modules stay small, and third parties have one home."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import torch_hdrpatches

PACKAGE = Path(torch_hdrpatches.__file__).parent
TESTS = Path(__file__).parents[1]
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

ROOMS = (
    ("errors", "rng", "frames", "jit", "files", "main_guard", "callables", "state_names"),
    ("storage",),
    ("video", "color"),
    ("probe", "transforms", "testing"),
    ("recipe",),
    ("sampling",),
    ("shards",),
    ("loading", "exporter"),
    ("analysis",),
    ("cli",),
)
"""From the ground up. A room imports only from rooms further up in this list, never from one on its own line."""
FLOOR = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms}
MOST_MODULES, MOST_LINES = 12, 300

HOMES = {
    "av": {"video", "probe", "transforms/video_codec.py", "testing/movie.py"},
    "typer": {"cli"},
    "rich": {"cli", "exporter/display.py"},
    "IPython": {"exporter/display.py"},
    "matplotlib": {"analysis/charts.py"},
    "jinja2": {"analysis/html_report.py"},
    "pydantic": {"recipe"},
    "pydantic_core": {"recipe"},
    "yaml": {"recipe", "loading/basicsr.py"},
    "tomlkit": {"recipe"},
    "fsspec": {"storage"},
    "isal": {"shards/png.py"},
    "webdataset": {"shards"},
    "imagecodecs": {"shards/codecs.py"},
    "ray": {"exporter/ray.py"},
    "lmdb": {"exporter/unpack.py"},
    "basicsr": {"loading/basicsr.py"},
    "torchvision": {"loading/basicsr.py"},
}
"""Rooms or modules that may import a package of others."""


def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


def room_of(module: str) -> str:
    """``video`` for ``video/movie.py``; ``errors`` for ``errors.py``."""
    return module.partition("/")[0].removesuffix(".py")


def imports(module: str) -> set[str]:
    """Modules of this package that a module imports, anywhere in it, as paths."""
    found = set()
    for node in ast.walk(tree(module)):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = [*Path(module).parts[:-1]][: len(Path(module).parts) - node.level]
        for alias in node.names:
            named = [*base, *(node.module or "").split("."), alias.name]
            paths = ["/".join(filter(None, named[:stop])) for stop in (len(named), len(named) - 1)]
            path = next(path for path in paths if (PACKAGE / f"{path}.py").exists() or (PACKAGE / path).is_dir())
            found.add(f"{path}.py" if (PACKAGE / f"{path}.py").exists() else f"{path}/__init__.py")
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


def test_every_room_has_a_floor():
    assert {room_of(module) for module in MODULES} - {"__init__"} == set(FLOOR)


@pytest.mark.parametrize("module", [module for module in MODULES if module != "__init__.py"])
def test_a_module_imports_only_from_its_own_room_and_from_rooms_below(module):
    room = room_of(module)
    assert {other for other in imports(module) if room_of(other) != room and FLOOR[room_of(other)] >= FLOOR[room]} == (
        {other for other in imports(module) if "/" not in other and "/" not in module}  # the ground floor is one room
    )


def test_no_imports_go_in_circles():
    graph = {module: imports(module) for module in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in graph[module]:
                visit(other, (*path, module))
            done.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("room", sorted(room for room in FLOOR if (PACKAGE / room).is_dir()))
def test_a_room_is_small_and_opens_with_its_map(room):
    modules = [path for path in (PACKAGE / room).glob("*.py") if path.stem not in ("__init__", "__main__")]
    assert 1 < len(modules) <= MOST_MODULES
    guide = ast.get_docstring(tree(f"{room}/__init__.py")) or ""
    assert [path.stem for path in modules if f"``{path.stem}``" not in guide] == []


@pytest.mark.parametrize("room", sorted(room for room in FLOOR if (PACKAGE / room).is_dir()))
def test_the_tests_of_a_room_are_named_after_its_modules(room):
    modules = [path.stem for path in (PACKAGE / room).glob("*.py")]
    for path in (TESTS / room).glob("test_*.py"):
        name = path.stem.removeprefix("test_")
        assert any(name == module or name.startswith(f"{module}_") for module in modules), path


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_short_and_opens_with_one_sentence(module):
    assert len((PACKAGE / module).read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    first = (ast.get_docstring(tree(module)) or "").splitlines()[0]
    assert first.endswith((".", ":"))
    assert len(first) > 20


@pytest.mark.parametrize(("package", "homes"), HOMES.items())
def test_third_parties_have_one_home(package, homes):
    users = {module for module in MODULES if package in third_parties(module)}
    assert {module for module in users if module not in homes and room_of(module) not in homes} == set()


def test_the_front_door_is_sorted_and_opens():
    assert sorted(torch_hdrpatches.__all__) == torch_hdrpatches.__all__
    for name in torch_hdrpatches.__all__:
        assert getattr(torch_hdrpatches, name).__module__.startswith("torch_hdrpatches.")


def test_importing_the_package_imports_no_command_line_charts_or_engines():
    code = "import sys, torch_hdrpatches; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    heavy = {"typer", "rich", "matplotlib", "jinja2", "webdataset", "ray", "tomlkit", "imagecodecs", "s3fs", "aiohttp"}
    heavy |= {"IPython", "lmdb", "basicsr", "torchvision"}
    assert heavy & set(done.stdout.split()) == set()
