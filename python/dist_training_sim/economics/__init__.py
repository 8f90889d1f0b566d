"""What a run costs beyond its steps: failures and checkpoints, energy, prices, and the loss that tokens buy."""

from __future__ import annotations

__all__: list[str] = []
