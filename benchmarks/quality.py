"""How well calls are found: our way of working beside the original recipe, and what each part of it is worth.

Runs the whole pipeline for every corpus and seed by the same commands as the demo, then writes a table: mean and
spread over seeds. Decoders are tuned and the filter is trained on training tapes alone; no run looks at the benchmark
tapes before its table. (People did, when this was written: README.md says how often, and for what.) Thresholds of the
original, which has no rule for choosing one, stand side by side.
The made-up species have no settings of their own: all of them come from the calls.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FINCHES = HERE.parents[1] / "shared" / "corpora" / "zebra_finch"
MEASURES = {
    "f1": "F1@0.4", "f1_iou70": "F1@0.7", "precision": "precision", "recall": "recall",
    "mean_dstart_ms": "|onset| ms", "mean_dend_ms": "|offset| ms",
}  # fmt: skip

OURS, NOT_VARIED = "dense", "dense_no_augmentation"
BOUNDS = {"usual": "at 0.5", "one": "best of all", "each": "best for each recording"}

sys.path.insert(0, str(HERE))
from demo import Demo  # noqa: E402  (a script beside this one)
from headroom import headroom  # noqa: E402
from species import SPECIES, write_species  # noqa: E402
from worse import THRESHOLDS as WORSE_AT  # noqa: E402
from worse import worse  # noqa: E402


class QualityRun(Demo):
    """The demo with settings of one corpus and seed; a made-up corpus is made hard."""

    def synthesise(self) -> None:
        """Make up a hard paddock; the benchmark has other animals, and rain where the training tapes have wind."""
        hard = ["--lowest-snr", "-5", "--highest-snr", "15", "--distractors", "40", "--minutes", "3"]
        command = ["hum-trainer", "synthesise-corpus"]
        self._call(*command, "data/training_corpus", "--tapes", "4", "--seed", "1", *hard)
        self._call(
            *command, "data/benchmark_corpus", "--tapes", "3", "--seed", "2", "--first-animal", "500",
            "--background", "rain", *hard,
        )  # fmt: skip


def main() -> None:
    """Parse the command line, run what is missing, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE.parent / "quality", help="folder of the workspaces")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--corpora", nargs="+", default=["paddock", "zebra_finch", *SPECIES],
        choices=["paddock", "zebra_finch", *SPECIES],
    )  # fmt: skip
    parser.add_argument(
        "--variants",
        nargs="+",
        help="training variants of quality_<corpus>.json, or of quality_species.json; default: all",
    )
    options = parser.parse_args()
    tables = {}
    for corpus in options.corpora:
        if corpus == "zebra_finch" and not FINCHES.is_dir():
            print(f"{FINCHES}: not there, left out", file=sys.stderr)
            continue
        rows: dict[str, list[dict[str, float]]] = {}
        for seed in options.seeds:
            for name, row in run_one(options.out.resolve(), corpus, seed, options.variants).items():
                rows.setdefault(name, []).append(row)
        for name, found in rows.items():
            if len(found) < len(options.seeds):
                print(f"{corpus}: {name}: {len(found)} of {len(options.seeds)} seeds alone", file=sys.stderr)
        tables[corpus] = {name: summary(found) for name, found in sorted(rows.items())}
        print(f"\n{corpus}, {len(options.seeds)} seeds: mean ± half the range\n")
        print(as_markdown(tables[corpus]))
        (options.out / "quality.json").write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")
    found: dict[str, dict[str, dict[str, dict[float, list[float]]]]] = {}
    for corpus in tables:
        workspaces = [options.out.resolve() / f"{corpus}_seed{seed}" for seed in options.seeds]
        chosen = variants_of(corpus, options.variants)
        if OURS in chosen:
            print_headroom(corpus, workspaces)
        for model in (name for name in (OURS, NOT_VARIED) if name in chosen):
            found.setdefault(corpus, {})[model] = print_worse(corpus, workspaces, model)
            (options.out / "worse.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def settings_of(corpus: str) -> dict[str, Any]:
    """Return the settings of a corpus; every made-up species has the same."""
    file = "quality_species.json" if corpus in SPECIES else f"quality_{corpus}.json"
    settings: dict[str, Any] = json.loads((HERE / file).read_text(encoding="utf-8"))
    return settings


def variants_of(corpus: str, wanted: list[str] | None) -> dict[str, Any]:
    """Return the training variants of a corpus that are wanted; None: all."""
    variants = settings_of(corpus)["train_variants"]["variants"]
    return {name: variant for name, variant in variants.items() if wanted is None or name in wanted}


def run_one(out: Path, corpus: str, seed: int, variants: list[str] | None) -> dict[str, dict[str, float]]:
    """Run one corpus with one seed; return run and layer → measures."""
    settings = settings_of(corpus)
    chosen = {name: {**variant, "seed": seed} for name, variant in variants_of(corpus, variants).items()}
    if not chosen:
        sys.exit(f"quality: {corpus} has none of the variants {', '.join(variants or ())}")
    settings["train_variants"]["variants"] = chosen
    run = QualityRun(out / f"{corpus}_seed{seed}", settings)
    if corpus == "paddock":
        run.write_settings(None, None)
    elif corpus in SPECIES:
        made = out / "species" / corpus
        write_species(made / "training_corpus", corpus, tapes=4, seed=1, benchmark=False)
        write_species(made / "benchmark_corpus", corpus, tapes=3, seed=2, benchmark=True)
        run.write_settings(made / "training_corpus", made / "benchmark_corpus")
    else:
        run.write_settings(FINCHES / "training_corpus_v1", FINCHES / "benchmark_corpus_v1")
    run.run()
    with (run.workspace / "BENCHMARK" / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return {
            f"{row['model']} · {row['variant']} · {row['layer']}": {
                key: float(row[key]) if row[key] else float("nan") for key in MEASURES
            }
            for row in csv.DictReader(file)
            if row["model"] in chosen  # runs of models that the settings no longer name stay where they are
        }


def print_headroom(corpus: str, workspaces: list[Path]) -> None:
    """Say what our detector would reach with thresholds that the truth itself picks: a bound, no result."""
    rows = [headroom(workspace, OURS) for workspace in workspaces]
    bounds = {words: summarised([row[key] for row in rows]) for key, words in BOUNDS.items()}
    found = "; ".join(f"{words} {mean:.3f} ± {spread:.3f}" for words, (mean, spread) in bounds.items())
    print(f"{corpus}: {OURS}, tuned decoder, F1@0.4 by threshold (picked by the truth, no result): {found}")


def print_worse(corpus: str, workspaces: list[Path], model: str) -> dict[str, dict[float, list[float]]]:
    """Say what a model finds in worse copies of the benchmark's recordings; return mean and half the range."""
    rows = [worse(workspace, model) for workspace in workspaces]
    table = {
        condition: {threshold: summarised([row[condition][threshold] for row in rows]) for threshold in WORSE_AT}
        for condition in rows[0]
    }
    print(f"\n{corpus}: {model}, tuned decoder, F1@0.4 in worse copies of the recordings (spread: of networks)\n")
    print("| worse by | " + " | ".join(f"at {threshold:g}" for threshold in WORSE_AT) + " |")
    print("|---|" + "---|" * len(WORSE_AT))
    for condition, cells in table.items():
        print(f"| {condition} | " + " | ".join(f"{mean:.3f} ± {spread:.3f}" for mean, spread in cells.values()) + " |")
    return table


def summary(rows: list[dict[str, float]]) -> dict[str, list[float]]:
    """Return mean and half the range of each measure over seeds."""
    return {key: summarised([row[key] for row in rows]) for key in MEASURES}


def summarised(values: list[float]) -> list[float]:
    """Return mean and half the range."""
    return [statistics.fmean(values), (max(values) - min(values)) / 2]


def as_markdown(table: dict[str, dict[str, list[float]]]) -> str:
    """Return a table of run × measure."""
    lines = ["| run | " + " | ".join(MEASURES.values()) + " |", "|---|" + "---|" * len(MEASURES)]
    for name, measures in table.items():
        cells = []
        for key, (mean, spread) in measures.items():
            digits = 1 if key.endswith("_ms") else 3
            cells.append(f"{mean:.{digits}f} ± {spread:.{digits}f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
