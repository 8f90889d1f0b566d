"""Whether what is kept (outputs of notebooks, figures of the guide) is still what its maker makes.

Numbers may differ by 2 % or by one in their last digit, words not at all. Of figures the drawn data counts, not pixels:
`docs/img/facts.json` has the texts and the data of each, and the hash of the file that was drawn with them.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

IMAGES = Path(__file__).parent / "img"
FACTS = IMAGES / "facts.json"
SLACK = 0.02
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", re.IGNORECASE)


def _value(text: str) -> float:
    return float(text.replace(",", "").rstrip("."))


def _last_digit(text: str) -> float:
    """One in the last digit of a number as it is written."""
    mantissa, _, power = text.lower().replace(",", "").partition("e")
    decimals = len(mantissa.partition(".")[2])
    return float(10.0 ** (int(power or 0) - decimals))


def _words(text: str) -> list[str]:
    return _NUMBER.sub("#", text).split()


def texts_apart(kept: str, now: str) -> str:
    """What sets two texts apart, in words; nothing if they are alike."""
    if _words(kept) != _words(now):
        pairs = zip(kept.splitlines(), now.splitlines(), strict=False)
        other = next((pair for pair in pairs if _words(pair[0]) != _words(pair[1])), (kept, now))
        return f"kept {other[0].strip()!r}, now {other[1].strip()!r}"
    for then, new in zip(_NUMBER.findall(kept), _NUMBER.findall(now), strict=True):
        allowed = max(SLACK * abs(_value(then)), 1.001 * max(_last_digit(then), _last_digit(new)))
        if abs(_value(then) - _value(new)) > allowed:
            return f"kept {then}, now {new}"
    return ""


def facts(figure: Any) -> dict[str, Any]:
    """Texts of a figure but for ticks; of each axes how many artists it has and where their data lies."""
    legends = [*figure.legends, *(legend for axes in figure.axes if (legend := axes.get_legend()))]
    titles = [axes.get_title(loc=side) for axes in figure.axes for side in ("left", "center", "right")]
    labels = [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())]
    written = [text for part in (figure, *figure.axes, *legends) for text in part.texts]
    texts = [*titles, *labels, *(text.get_text() for text in written)]
    return {"texts": [text for text in texts if text.strip()], "axes": [_data(axes) for axes in figure.axes]}


def _data(axes: Any) -> dict[str, Any]:
    lines = [np.asarray(line.get_xydata(), dtype=float) for line in axes.lines]
    points = [np.asarray(found.get_offsets(), dtype=float) for found in axes.collections]
    paths = [path.vertices for found in axes.collections for path in found.get_paths()]
    boxes = [patch.get_path().transformed(patch.get_patch_transform()).vertices for patch in axes.patches]
    parts = {"lines": lines, "points": points, "paths": paths, "boxes": boxes}
    return {name: [len(found), *_middle(found)] for name, found in parts.items() if found}


def _middle(parts: list[Any]) -> list[float]:
    """Mean and spread along x and y."""
    places = np.concatenate([np.reshape(part, (-1, 2)) for part in parts])
    places = places[np.isfinite(places).all(axis=1)]
    numbers = [*places.mean(axis=0), *places.std(axis=0)] if len(places) else []
    return [float(f"{number:.4g}") for number in numbers]


def facts_apart(kept: dict[str, Any], now: dict[str, Any]) -> str:
    """What sets the facts of two figures apart, in words; nothing if they are alike."""
    apart = texts_apart("\n".join(kept["texts"]), "\n".join(now["texts"]))
    if apart or len(kept["axes"]) != len(now["axes"]):
        return apart or "another number of axes"
    for then, new in zip(kept["axes"], now["axes"], strict=True):
        if then.keys() != new.keys():
            return f"kept {sorted(then)}, now {sorted(new)}"
        for name in then:
            if not _alike(then[name], new[name]):
                return f"{name}: kept {then[name]}, now {new[name]}"
    return ""


def _alike(then: list[float], new: list[float]) -> bool:
    """Counts, then mean x, mean y, spread of x, spread of y: off by 2 % of where the data lies."""
    if len(then) != len(new) or abs(then[0] - new[0]) > SLACK * then[0]:
        return False
    allowed = SLACK * (np.abs(then[1:3]) + then[3:]) if len(then) > 1 else np.zeros(0)
    return bool((np.abs(np.subtract(then[1:], new[1:])) <= np.tile(allowed, 2)).all())


def keep(figure: Any, name: str, **settings: Any) -> None:
    """Draw a figure into `docs/img` and keep its facts."""
    path = IMAGES / name
    figure.savefig(path, **settings)
    known = json.loads(FACTS.read_text(encoding="utf-8")) if FACTS.exists() else {}
    known[name] = {"sha256": digest(path), **facts(figure)}
    lines = ",\n".join(f"{json.dumps(each)}: {json.dumps(known[each], ensure_ascii=False)}" for each in sorted(known))
    FACTS.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def digest(path: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stale(name: str, figure: Any) -> str:
    """Why a kept figure is not what is drawn now; nothing if it is."""
    known = json.loads(FACTS.read_text(encoding="utf-8"))
    return facts_apart(known[name], facts(figure)) if name in known else "nothing is kept of it"
