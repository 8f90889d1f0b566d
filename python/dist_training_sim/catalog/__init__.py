"""Catalogues: YAML files with a source for every value, and their readers."""

from __future__ import annotations
