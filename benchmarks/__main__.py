"""`make bench`: every stage beside its plain loop, as a table and as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

from benchmarks import (
    bench_decoding,
    bench_features,
    bench_prediction,
    bench_progress,
    bench_report,
    bench_status,
    bench_training,
)

RESULT = Path(__file__).parent / "result.json"

Row = dict[str, object]

PARTS: dict[str, Callable[[], Row | list[Row]]] = {
    "prediction": bench_prediction.run,
    "dense": bench_prediction.dense,
    "memory": bench_prediction.memory,
    "decoding": bench_decoding.run,
    "features": bench_features.run,
    "training": bench_training.run,
    "report": bench_report.run,
    "progress": bench_progress.run,
    "status": bench_status.run,
}


def main() -> None:
    """Run the parts asked for one after the other; each is printed and kept in `result.json` when it is done."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog="Example: python -m benchmarks prediction training"
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; none: all of them")
    names = parser.parse_args().parts or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; known: {', '.join(PARTS)}")
    print(f"{'what':<52} {'unit':<13} {'ours':>12} {'baseline':>12} {'ratio':>8} {'peak MB':>8}")
    for name in names:
        load = os.getloadavg()[0]
        found = PARTS[name]()
        rows = found if isinstance(found, list) else [found]
        for row in rows:
            print(_line(row), flush=True)
        _keep(name, rows, load)
    print(f"also in {RESULT}")


def _line(row: Row) -> str:
    peak = f"{row['peak_mb']:.0f}" if row.get("peak_mb") else ""
    figures = f"{row['ours']:>12,.1f} {row['plain']:>12,.1f} {row['ratio']:>8.2f} {peak:>8}"
    return f"{row['name']:<52} {row['unit']:<13} {figures}"


def _keep(part: str, rows: list[Row], load: float) -> None:
    """Put the rows of one part into `result.json`, beside those that earlier runs left there for others."""
    kept = json.loads(RESULT.read_text(encoding="utf-8")).get("parts", {}) if RESULT.exists() else {}
    machine = {"python": platform.python_version(), "torch": torch.__version__, "threads": torch.get_num_threads(),
               "cpu": torch.backends.cpu.get_cpu_capability()}  # fmt: skip
    kept[part] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "load_before": load, "machine": machine,
        "rows": rows,
    }  # fmt: skip
    RESULT.write_text(json.dumps({"parts": kept}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
