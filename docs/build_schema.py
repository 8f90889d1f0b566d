"""Write the JSON Schema of job files anew from the options of the verbs: `python docs/build_schema.py`."""

from __future__ import annotations

from pathlib import Path

from dist_training_sim.cli.schema import write_schema

if __name__ == "__main__":
    write_schema(Path(__file__).parents[1] / "python" / "dist_training_sim" / "io" / "job.schema.json")
