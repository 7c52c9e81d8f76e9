"""`make bench`: every stage beside its plain loop, as a table and as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
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


def main() -> None:
    """Run all benchmarks one after the other, print a table, write `benchmarks/result.json`."""
    rows: list[Row] = []
    measured: list[Callable[[], Row | list[Row]]] = [
        bench_prediction.run,
        bench_prediction.dense,
        bench_prediction.memory,
        bench_decoding.run,
        bench_features.run,
        bench_training.run,
        bench_report.run,
        bench_progress.run,
        bench_status.run,
    ]
    for measure in measured:
        found = measure()
        rows += found if isinstance(found, list) else [found]
    print(f"{'what':<52} {'unit':<13} {'ours':>12} {'baseline':>12} {'ratio':>8} {'peak MB':>8}")
    for row in rows:
        peak = f"{row['peak_mb']:.0f}" if row.get("peak_mb") else ""
        print(
            f"{row['name']:<52} {row['unit']:<13} {row['ours']:>12,.1f} {row['plain']:>12,.1f} "
            f"{row['ratio']:>8.2f} {peak:>8}"
        )
    machine = {"python": platform.python_version(), "torch": torch.__version__, "threads": torch.get_num_threads(),
               "cpu": torch.backends.cpu.get_cpu_capability()}  # fmt: skip
    RESULT.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n", encoding="utf-8")
    print(f"also in {RESULT}")


if __name__ == "__main__":
    main()
