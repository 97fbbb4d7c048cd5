"""Draws docs/images/dataflow.svg: how a window of a movie becomes samples. Run: python docs/dataflow.py"""

from __future__ import annotations

from html import escape
from pathlib import Path

WIDTH, HEIGHT = 960, 560
TEAL, AMBER, RED, GREY = "#2f7a91", "#c98a1b", "#b8384a", "#63676b"
STYLE = """
text { font: 14px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1d1f21; }
.title { font-weight: 600; } .small { font-size: 12px; fill: #55595d; }
"""


def box(x: int, y: int, width: int, height: int, title: str, *lines: str, ink: str = TEAL) -> str:
    """A rounded box with a title and smaller lines below it."""
    parts = [f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="9" fill="#fff" stroke="{ink}"/>']
    parts.append(f'<text class="title" x="{x + 14}" y="{y + 25}">{escape(title)}</text>')
    parts += [
        f'<text class="small" x="{x + 14}" y="{y + 45 + 17 * row}">{escape(line)}</text>'
        for row, line in enumerate(lines)
    ]
    return "".join(parts)


def arrow(*points: tuple[int, int], ink: str = GREY, label: str = "", at: tuple[int, int] = (0, 0)) -> str:
    """A line through points with a head at its end."""
    path = " ".join(f"{x},{y}" for x, y in points)
    text = f'<text class="small" x="{at[0]}" y="{at[1]}" style="fill: {ink}">{escape(label)}</text>' if label else ""
    return f'<polyline points="{path}" fill="none" stroke="{ink}" stroke-width="1.6" marker-end="url(#head)"/>{text}'


def window(x: int, y: int) -> str:
    """Seven frames, the centre one marked."""
    frames = []
    for number in range(7):
        centre = number == 3
        frames.append(
            f'<rect x="{x + 27 * number}" y="{y}" width="23" height="15" rx="2" '
            f'fill="{AMBER if centre else "#d7e3e7"}" stroke="{AMBER if centre else TEAL}"/>'
        )
    return "".join(frames)


def drawing() -> str:
    """The whole drawing."""
    parts = [
        box(24, 24, 250, 92, "Recipe", "movies, categories, formats,", "tone curve, targets, seed"),
        box(355, 24, 250, 92, "Plan", "runs of 8 neighbouring slots,", "in a random order per epoch"),
        box(686, 24, 250, 92, "Run", "read in one sweep through a movie;", "workers and ranks get whole runs"),
        arrow((274, 70), (349, 70)),
        arrow((605, 70), (680, 70)),
        box(686, 176, 250, 98, "Decode once", "seven frames around the slot,", "10-bit planes, not converted"),
        window(703, 248),
        arrow((811, 116), (811, 170)),
        box(
            355,
            176,
            250,
            98,
            "Check once",
            "cut, flash, fade, frozen, black, flat?",
            "measured on all seven frames",
        ),
        arrow((686, 225), (611, 225)),
        box(24, 176, 250, 98, "Refused", "counted by movie and reason;", "the slot tries again 2 s later", ink=RED),
        arrow((355, 225), (280, 225), ink=RED),
        box(
            24,
            334,
            912,
            86,
            "For every category of the movie: one sample or more",
            "its own format, random by weight · its own crop box, inside the black bars · its own random numbers, "
            "seeded by (movie, epoch, slot, category)",
            "gt: only the crop is tone-mapped, directly to 8-bit RGB · lq: the seven crops, downscaled "
            "bicubically or by your own degradation",
            ink=AMBER,
        ),
        arrow((480, 274), (480, 328), label="stable", at=(490, 306)),
        box(24, 470, 290, 70, "HDRPatchDataset, PatchLoader", "live, in your training script"),
        box(355, 470, 250, 70, "export", "WebDataset shards, a manifest"),
        box(686, 470, 250, 70, "read_shards", "the same dicts, bit for bit"),
        arrow((169, 420), (169, 464)),
        arrow((480, 420), (480, 464)),
        arrow((605, 505), (680, 505)),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" aria-label="From a recipe to samples"><style>' + STYLE + "</style>"
        '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0 10 5 0 10z" fill="{GREY}"/></marker></defs>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="14" fill="#f4f5f3"/>' + "".join(parts) + "</svg>\n"
    )


if __name__ == "__main__":
    (Path(__file__).parent / "images" / "dataflow.svg").write_text(drawing(), encoding="utf-8")
