"""Every kind of figure looks as it did: golden images with a tolerance for fonts and edges.

`python python/tests/test_golden_figures.py` draws them anew; look at each before keeping it.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from dist_training_sim.visualization import Visualizer
from figure_gallery import DRAWN_WITH, DRAWS_ALIKE, GOLDEN, figures
from PIL import Image

DPI, BLOCK = 50, 10  # pixels per inch, and of the blocks whose mean colours are compared
THEMES = ("light", "dark")
NAMES = sorted(figures(Visualizer()))


def drawn(name: str, theme: str) -> Image.Image:
    buffer = io.BytesIO()
    figures(Visualizer(theme))[name]().savefig(buffer, format="png", dpi=DPI)
    return Image.open(buffer).convert("RGB")


def blocks(image: Image.Image) -> np.ndarray[Any, Any]:
    """Mean colour of blocks of ten pixels, 0 to 255."""
    pixels = np.asarray(image, dtype=float)
    height, width = (side // BLOCK * BLOCK for side in pixels.shape[:2])
    means: np.ndarray[Any, Any]
    means = pixels[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).mean(axis=(1, 3))
    return means


@pytest.mark.skipif(not DRAWS_ALIKE, reason=f"the golden images were drawn with Matplotlib {DRAWN_WITH}")
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", NAMES)
def test_figure_looks_as_it_did(name: str, theme: str) -> None:
    now, then = drawn(name, theme), Image.open(GOLDEN / f"{name}_{theme}.png").convert("RGB")
    assert np.abs(np.subtract(now.size, then.size)).max() <= 2
    size = (min(now.width, then.width), min(now.height, then.height))
    apart = np.abs(blocks(now.crop((0, 0, *size))) - blocks(then.crop((0, 0, *size))))
    assert apart.mean() < 3.0
    assert np.quantile(apart, 0.99) < 40.0


def test_a_wrong_colour_or_a_missing_bar_is_seen() -> None:
    """The tolerance is for edges, not for content."""
    then = blocks(Image.open(GOLDEN / "breakdown_light.png").convert("RGB"))
    other = Visualizer().plot_step_breakdown({"forward_s": 1.0, "backward_s": 2.1, "exposed_tp_s": 1.1})
    buffer = io.BytesIO()
    other.set_size_inches(9.5, 1.5 + 0.34 * 9)
    other.savefig(buffer, format="png", dpi=DPI)
    now = blocks(Image.open(buffer).convert("RGB"))
    assert np.quantile(np.abs(now - then), 0.99) > 40.0


def main() -> None:
    """Draw all golden images."""
    GOLDEN.mkdir(exist_ok=True)
    release = ".".join(matplotlib.__version__.split(".")[:2])
    (GOLDEN / "matplotlib.txt").write_text(f"{release}\n", encoding="utf-8")
    for theme in THEMES:
        for name in NAMES:
            image = drawn(name, theme).quantize(64)  # a palette keeps the files small
            image.save(GOLDEN / f"{name}_{theme}.png", optimize=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
