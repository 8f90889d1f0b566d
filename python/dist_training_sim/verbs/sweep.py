"""`sweep`: plans or steps over models, clusters, batches and prices, streamed to a file; here or on many machines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing
from pathlib import Path
from typing import Any

from ..errors import ConfigError, DtsError
from ..parallel import Strategy
from ..result import strategy_dict
from ..simulator import simulate
from .inputs import cluster_of, model_of
from .plan import plan
from .plan_objective import terms_of
from .sweep_file import SweepResult, open_file, pending, save
from .sweep_space import SweepSpace

__all__ = ["sweep"]

IN_FLIGHT = 256  # points handed to an executor at once
ATTEMPTS = 3  # of a point whose worker is lost
_AXES = ("model", "cluster", "framework", "seq_len", "global_batch", "usd_per_device_h", "objective")


def sweep(
    space: SweepSpace | Mapping[str, Any],
    file: str | Path,
    *,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SweepResult:
    """Plan (or simulate) every point of a space; each result is in the file as soon as it is there.

    A sweep that was stopped, or killed, goes on where it was: points in the file are not computed again, and no point
    is in it twice.

    Parameters
    ----------
    space
        A `SweepSpace` or its axes.
    file
        SQLite file; made, or continued if it holds a part of the same sweep.
    executor
        Any `concurrent.futures.Executor`: processes, or machines, such as `client.get_executor()` of a Dask `Client`
        (extra `[scale]`); a Dask client itself is taken as well. By default points run one after another here, each
        search on all cores. Results do not depend on it.
    progress
        Called with the number of points done and of all.

    Returns
    -------
    SweepResult
        The rows of the file. A point that is not legal, or without a plan, is a row with its reason.

    Raises
    ------
    ConfigError
        If an axis is not legal, or the file holds another sweep.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     axes = {"model": "llama-3.1-8b", "cluster": ["1xdgx-h100", "1xdgx-b200"], "global_batch": 32,
    ...             "seq_len": 4096, "strategy": {"zero": 3, "recompute": "full"}}
    ...     [row["devices"] for row in sweep(axes, folder + "/sweep.sqlite")]
    [8, 8]
    """
    points = space if isinstance(space, SweepSpace) else SweepSpace(space)
    workers = _executor(executor)
    path = Path(file)
    with closing(open_file(path, points)) as connection:
        places = pending(connection, points)
        done = len(points) - len(places)

        def finish(row: dict[str, Any]) -> None:
            nonlocal done
            save(connection, [row], path)
            done += 1
            if progress is not None:
                progress(done, len(points))

        if workers is None:
            for place in places:
                finish(run_point(place, points[place], threads=0))
        else:
            _spread(workers, points, places, finish)
    return SweepResult(path)


def _executor(executor: Any) -> Executor | None:
    if executor is None or isinstance(executor, Executor):
        return executor
    if hasattr(executor, "get_executor"):  # a Dask client
        made: Executor = executor.get_executor(pure=False)
        return made
    raise ConfigError(f"executor: got {type(executor).__name__}, expected a concurrent.futures.Executor or Dask client")


def _spread(
    executor: Executor, points: SweepSpace, places: list[int], finish: Callable[[dict[str, Any]], None]
) -> None:
    """Hand points out, some at a time; a point whose worker is lost goes out again."""
    running: dict[Future[dict[str, Any]], tuple[int, int]] = {}
    waiting = iter(places)

    def submit(place: int, attempt: int) -> None:
        running[executor.submit(run_point, place, points[place], 1)] = (place, attempt)

    try:
        for place, _ in zip(waiting, range(IN_FLIGHT), strict=False):
            submit(place, 1)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                place, attempt = running.pop(future)
                error = future.exception()
                if error is not None and attempt >= ATTEMPTS:
                    raise error
                if error is not None:
                    submit(place, attempt + 1)
                    continue
                finish(future.result())
                following = next(waiting, None)
                if following is not None:
                    submit(following, 1)
    except Exception:  # on Ctrl-C workers end with their pool
        for future in running:
            future.cancel()
        raise


def run_point(place: int, point: Mapping[str, Any], threads: int = 1) -> dict[str, Any]:
    """One row: the best plan of a point, or the step of its layout; the same wherever it runs."""
    row = {"place": place, **{name: point[name] for name in _AXES}}
    try:
        found = _planned(point, threads) if point["strategy"] is None else _simulated(point)
    except DtsError as error:
        found = {"fits": 0, "reason": str(error)}
    return row | found


def _planned(point: Mapping[str, Any], threads: int) -> dict[str, Any]:
    known = (*_AXES, "strategy")
    report = plan(
        point["model"],
        point["cluster"],
        global_batch=point["global_batch"],
        seq_len=point["seq_len"],
        objective=point["objective"],
        framework=point["framework"],
        usd_per_device_h=point["usd_per_device_h"],
        top=1,
        threads=threads,
        **{name: value for name, value in point.items() if name not in known},
    )
    if not report.feasible:
        return {"fits": 0, "reason": report.sentence}
    best = report.best
    names = ("devices", "step_time_s", "low90_s", "high90_s", "tokens_per_s", "mfu", "reserved_bytes")
    figures = {name: getattr(best, name) for name in (*names, "oom_probability", "usd_per_step")}
    return figures | {"fits": 1, "strategy": json.dumps(strategy_dict(best.strategy)), "reason": ""}


def _simulated(point: Mapping[str, Any]) -> dict[str, Any]:
    cluster = cluster_of(point["cluster"])
    strategy = Strategy(**{**point["strategy"], "global_batch": point["global_batch"]})
    result = simulate(
        model_of(point["model"]), cluster, strategy, seq_len=point["seq_len"], framework=point["framework"],
        keep_events=False,
    )  # fmt: skip
    terms = terms_of(cluster, point["usd_per_device_h"], {"step_time_s": None, "memory_bytes": None}, 0.5)
    near = result.interval
    return {
        "devices": result.devices,
        "fits": int(result.fits),
        "step_time_s": result.step_time_s,
        "low90_s": None if near is None else near.low90,
        "high90_s": None if near is None else near.high90,
        "tokens_per_s": result.tokens_per_s,
        "mfu": result.mfu,
        "reserved_bytes": result.peak_memory.reserved_bytes,
        "oom_probability": result.fullest_stage.oom_probability,
        "usd_per_step": terms.usd(result.step_time_s, result.devices),
        "strategy": json.dumps(strategy_dict(result.strategy)),
        "reason": "" if result.fits else "does not fit into memory",
    }
