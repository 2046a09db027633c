"""The two tables of a study as Parquet: a line a row with everything measured, and the learning curves, long.

    NAME.parquet           one line a row, in the order of the specification: study, task, variant, arm, seed,
                           settings that differ, settings, temperature (of the samples that are measured),
                           rl_temperature, METRIC_before, METRIC_after, error
    NAME-curves.parquet    one line a point: variant, arm, seed, stage, metric, step, value

No clock, path or machine is in them: the same rows give the same bytes with one version of pyarrow, which is an
extra (`study`) and imported only here.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TypedDict

from pgce_mini.installation import check_installed
from pgce_mini.runs import RunError, write_atomic

Columns = dict[str, Any]  # a line of the table


class Curve(TypedDict):
    """A number over the steps of a training, or over the positions of a completion before or after RL."""

    stage: str
    """pretrain, midtrain, rl, before or after"""
    metric: str
    steps: list[int]
    values: list[float]


SCHEMA_VERSION = b"1"
VERSION_KEY = b"pgce_mini_schema_version"
COLUMNS_FIRST = ("study", "task", "variant", "arm", "seed")
KEY = ("variant", "arm", "seed")  # what tells rows of one study apart

Key = tuple[str, str, int]


def key_of(row: Columns) -> Key:
    return row["variant"], row["arm"], row["seed"]


def name_of(key: Key) -> str:
    """VARIANT/ARM/seedN, without the variant where there is none."""
    variant, arm, seed = key
    return "/".join(filter(None, (variant, arm, f"seed{seed}")))


def write_rows(path: Path, rows: Sequence[Columns]) -> None:
    """Writes one line a row, atomically; a column that a row lacks is empty there."""
    import pyarrow as pa

    names = list(dict.fromkeys([*COLUMNS_FIRST, *(name for row in rows for name in row)]))
    arrays = []
    for name in names:
        values = [row.get(name) for row in rows]
        number = any(isinstance(value, float) for value in values) or all(value is None for value in values)
        arrays.append(pa.array(values, pa.float64() if number and name != "error" else None))
    _write(path, pa.Table.from_arrays(arrays, names))


def read_rows(path: Path) -> list[Columns]:
    """The lines of a table, in its order; empty when there is no such file.

    Raises:
        RunError: naming the file, when it is damaged or no table of a study.
    """
    table = _table(path)
    return [] if table is None else list(table.to_pylist())


def write_curves(path: Path, curves: Iterable[tuple[Columns, Sequence[Curve]]]) -> None:
    """Writes the curves of each row, atomically; values in single precision."""
    import pyarrow as pa

    points: dict[str, list[Any]] = {name: [] for name in (*KEY, "stage", "metric", "step", "value")}
    for row, of_row in curves:
        for curve in of_row:
            count = len(curve["steps"])
            for name in KEY:
                points[name] += [row[name]] * count
            points["stage"] += [curve["stage"]] * count
            points["metric"] += [curve["metric"]] * count
            points["step"] += curve["steps"]
            points["value"] += curve["values"]
    text = pa.dictionary(pa.int16(), pa.string())
    types = {"seed": pa.int32(), "step": pa.int32(), "value": pa.float32()}
    arrays = [pa.array(values, types.get(name, text)) for name, values in points.items()]
    _write(path, pa.Table.from_arrays(arrays, list(points)))


def read_curves(path: Path) -> dict[Key, list[Curve]]:
    """The curves of each row, by (variant, arm, seed); empty when there is no such file.

    Raises:
        RunError: naming the file, when it is damaged or no table of a study.
    """
    table = _table(path)
    if table is None:
        return {}
    # texts by way of NumPy: as Python's own lists they take a hundred times as long
    variants, arms, stages, metrics = (
        table[name].to_numpy().tolist() for name in ("variant", "arm", "stage", "metric")
    )
    seeds, steps, values = (table[name].to_pylist() for name in ("seed", "step", "value"))
    curves: dict[Key, dict[tuple[str, str], Curve]] = {}
    start = 0
    for (*key, stage, metric), points in groupby(zip(variants, arms, seeds, stages, metrics, strict=True)):
        end = start + sum(1 for _ in points)
        of_row = curves.setdefault((key[0], key[1], key[2]), {})
        curve = of_row.setdefault((stage, metric), {"stage": stage, "metric": metric, "steps": [], "values": []})
        curve["steps"] += steps[start:end]
        curve["values"] += values[start:end]
        start = end
    return {key: list(of_row.values()) for key, of_row in curves.items()}


def _write(path: Path, table: Any) -> None:
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    table = table.replace_schema_metadata({VERSION_KEY: SCHEMA_VERSION})
    pq.write_table(table, buffer, compression="zstd")
    write_atomic(path, buffer.getvalue())


def _table(path: Path) -> Any:
    """None when there is no such file."""
    check_installed("pyarrow")
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        return None
    try:
        table = pq.read_table(io.BytesIO(path.read_bytes()))
    except (OSError, pa.ArrowException) as error:
        raise RunError(
            f"{path} is damaged ({error}): restore a copy, or delete it to run its rows again"
        ) from None
    if (table.schema.metadata or {}).get(VERSION_KEY) != SCHEMA_VERSION:
        raise RunError(f"{path} is no table of a study that this version of pgce_mini reads")
    return table
