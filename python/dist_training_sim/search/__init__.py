"""Many strategies at once: tables of them, the space of legal ones, their times and memory as columns."""

from __future__ import annotations

from .evaluation import Evaluation, evaluate
from .strategy_space import StrategySpace
from .strategy_table import StrategyTable

__all__ = ["Evaluation", "StrategySpace", "StrategyTable", "evaluate"]
