"""How much work a search is, and which ones are refused before they are begun."""

from __future__ import annotations

from ..errors import Problems
from ..units import format_bytes
from .strategy_table import MOST_ROWS

__all__ = ["MOST_TOGETHER", "check_size"]

MOST_TOGETHER = 200_000_000  # of all searches of one call: over an hour of a core
# Of `plan` for llama-3.1-70b on 64 nodes by one thread, 31,488 to 1,305,600 combinations; larger jobs take longer.
_COMBINATION_S, _COMBINATION_BYTES = 25e-6, 100


def check_size(combinations: int, most: int, searches: int = 1) -> None:
    """Refuse what would take too long or too much memory.

    Raises
    ------
    ConfigError
        If there are more combinations than `most`, with an estimate of what they would take.
    """
    problems = Problems()
    if combinations > most:
        held = _COMBINATION_BYTES * min(combinations, MOST_ROWS if searches > 1 else combinations)
        over = f" and more in {searches:,} searches" if searches > 1 else ""
        took = f"about {_COMBINATION_S * combinations:,.0f} s of a core and {format_bytes(held)}"
        mend = "give fewer values per axis" + (" or fewer sizes" if searches > 1 else "")
        problems.add("space", f"{combinations:,} combinations{over}, {took}", f"at most {most:,}", mend)
    problems.raise_if_any()
