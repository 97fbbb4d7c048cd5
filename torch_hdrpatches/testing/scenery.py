"""What the painted scenes of test movies look like: their skies, ridges and balloons, as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ridge:
    """One row of hills, trees or houses."""

    kind: str
    """``hill``, ``dune``, ``trees``, ``towers`` or ``water``."""
    top: float
    """Mean height of its outline in the picture, 0 (top) to 1."""
    colour: str
    nits: float
    haze: float
    """How much of the sky's colour lies over it, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Scenery:
    """What a scene looks like; colours are sRGB hex, brightness is in cd/m2."""

    zenith: str
    horizon: str
    sky_nits: float
    sun: tuple[float, float, float, str, float]
    """x and y (0 to 1), radius (share of the height), colour, nits."""
    cloud: str
    cloud_nits: float
    cloudiness: float
    ridges: tuple[Ridge, ...]
    floaters: tuple[str, ...]
    """Colours of the balloons, or of the lamps where ``lamps``."""
    lamps: bool = False


SCENERIES = {
    "meadow": Scenery(
        "#2468c0",
        "#b5d8f2",
        150,
        (0.80, 0.13, 0.045, "#fff3d6", 1000),
        "#ffffff",
        330,
        0.55,
        (
            Ridge("hill", 0.56, "#55794f", 55, 0.50),
            Ridge("hill", 0.64, "#6b8f35", 90, 0.15),
            Ridge("trees", 0.70, "#2f5520", 60, 0.05),
            Ridge("hill", 0.80, "#7fa03a", 110, 0.0),
        ),
        ("#e03a2a", "#f4c020", "#2a6fd0"),
    ),
    "city": Scenery(
        "#0c1a4a",
        "#5a4a9a",
        22,
        (0.22, 0.18, 0.045, "#e6ecff", 350),
        "#6a64a8",
        20,
        0.5,
        (
            Ridge("towers", 0.46, "#3a4478", 9, 0.35),
            Ridge("towers", 0.58, "#262f58", 6, 0.08),
            Ridge("water", 0.80, "#24347a", 12, 0.1),
        ),
        ("#ffb054", "#ffd9a0", "#ff5a3a", "#7fd0ff"),
        lamps=True,
    ),
    "coast": Scenery(
        "#3f8fcc",
        "#dcefee",
        170,
        (0.15, 0.16, 0.04, "#fff8e6", 1000),
        "#ffffff",
        300,
        0.5,
        (
            Ridge("water", 0.55, "#2f93a6", 80, 0.12),
            Ridge("hill", 0.70, "#8b9a5a", 80, 0.04),
            Ridge("trees", 0.80, "#33501f", 40, 0.0),
        ),
        ("#ffffff", "#e8543a", "#f0b428"),
    ),
    "sunset": Scenery(
        "#2f3c7d",
        "#ff9040",
        45,
        (0.66, 0.49, 0.05, "#ffe2ae", 1000),
        "#ff8f78",
        95,
        0.75,
        (
            Ridge("hill", 0.55, "#6d4a68", 20, 0.35),
            Ridge("water", 0.66, "#c8705a", 30, 0.15),
            Ridge("hill", 0.80, "#54404a", 14, 0.05),
            Ridge("trees", 0.84, "#34323a", 10, 0.0),
        ),
        ("#d9503c", "#f2a54a"),
    ),
    "desert": Scenery(
        "#3a7fb5",
        "#f6dfc0",
        170,
        (0.30, 0.22, 0.04, "#fff0cf", 1000),
        "#fff2e0",
        260,
        0.25,
        (
            Ridge("hill", 0.55, "#b98a78", 100, 0.45),
            Ridge("dune", 0.62, "#e0aa72", 150, 0.12),
            Ridge("dune", 0.74, "#cf8a55", 130, 0.03),
            Ridge("dune", 0.88, "#a8623a", 80, 0.0),
        ),
        ("#1f9a94", "#c03a6a", "#f0e6d2"),
    ),
    "aurora": Scenery(
        "#0b1a3f",
        "#1f5a5e",
        14,
        (0.76, 0.14, 0.03, "#eef2ff", 300),
        "#7ff0c0",
        16,
        0.55,
        (
            Ridge("hill", 0.58, "#41566e", 7, 0.25),
            Ridge("water", 0.66, "#1f5566", 7, 0.1),
            Ridge("trees", 0.84, "#18262c", 4, 0.0),
        ),
        ("#ffb054", "#ff8a3a", "#ffd9a0"),
        lamps=True,
    ),
}
"""Bright scenes and dark ones take turns, so that every cut is one by any measure of change."""
