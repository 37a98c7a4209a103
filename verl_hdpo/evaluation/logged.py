"""``log_report``: numbers by verl's own ``Tracking``, tables and pictures by each library itself."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from verl_hdpo.runs.log_to import LoggedReport


class LogError(RuntimeError):
    """A report that could not be logged; the message says where to look."""


def log_report(to: Sequence[str], command: str, name: str, report: LoggedReport) -> None:
    """Log ``report`` as one run, ``name`` in the project ``verl-hdpo-<command>``.

    Raises:
        LogError: one of ``to`` could not be opened, or refused the report.
    """
    if not to:
        return
    try:
        with redirect_stdout(sys.stderr):  # the libraries tell of themselves
            _log(to, f"verl-hdpo-{command}", name, report)
    except LogError:
        raise
    except Exception as error:  # whatever a library raises: no key, no server, no room
        text = " ".join(str(error).split())
        raise LogError(
            f"--log-to {', '.join(to)}: {type(error).__name__}: {text}; log in there, or look at its address, and give "
            f"the command again"
        ) from error


def _log(to: Sequence[str], project: str, name: str, report: LoggedReport) -> None:
    from verl.utils.tracking import Tracking

    numbers = {key: value for key, value in report.numbers.items() if value is not None and math.isfinite(value)}
    tracking = Tracking(project, name, list(to), config={"trainer": {}, "report": name})
    try:
        if missing := [one for one in to if one not in tracking.logger]:
            raise LogError(f"--log-to {', '.join(missing)}: could not be opened; the lines above say why")
        tracking.log(numbers, step=0)
        for one in to:
            RICH[one](tracking.logger[one], report)
    finally:
        tracking.finish()


def _to_wandb(logger: Any, report: LoggedReport) -> None:
    for name, rows in report.tables.items():
        heads, cells = _cells(rows)
        logger.log({name: logger.Table(columns=heads, data=cells)}, step=0)
    for name, path in report.pictures.items():
        logger.log({name: logger.Image(str(path))}, step=0)


def _to_trackio(logger: Any, report: LoggedReport) -> None:
    import pandas
    import trackio

    for name, rows in report.tables.items():
        heads, cells = _cells(rows)
        trackio.log({name: trackio.Table(dataframe=pandas.DataFrame(cells, columns=heads))}, step=0)
    for name, path in report.pictures.items():
        trackio.log({name: trackio.Image(str(path))}, step=0)


def _to_mlflow(logger: Any, report: LoggedReport) -> None:
    import mlflow

    for name, rows in report.tables.items():
        heads, cells = _cells(rows)
        mlflow.log_dict({"columns": heads, "data": cells}, f"{name}.json")  # as mlflow.log_table has it, without pandas
    for path in report.pictures.values():
        mlflow.log_artifact(str(path))


def _to_tensorboard(logger: Any, report: LoggedReport) -> None:
    for name, rows in report.tables.items():
        heads, cells = _cells(rows)
        lines = [heads, ["---"] * len(heads), *cells]
        table = "\n".join("| " + " | ".join(str(cell).replace("|", r"\|") for cell in line) + " |" for line in lines)
        logger.writer.add_text(name, table, 0)
    for name, path in report.pictures.items():
        logger.writer.add_image(name, _pixels(path), 0, dataformats="HWC")


RICH: Mapping[str, Callable[[Any, LoggedReport], None]] = {
    "wandb": _to_wandb, "trackio": _to_trackio, "mlflow": _to_mlflow, "tensorboard": _to_tensorboard,
}  # fmt: skip


def _cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    heads = list(rows[0]) if rows else []
    return heads, [[_plain(row[head]) for head in heads] for row in rows]


def _plain(value: Any) -> Any:
    """A number that is not finite is no number to a table."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    return value if isinstance(value, str | int | float) else str(value)


def _pixels(path: Path) -> Any:
    import numpy
    from PIL import Image

    with Image.open(path) as image:
        return numpy.asarray(image.convert("RGB"))
