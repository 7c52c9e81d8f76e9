"""The whole pipeline in one go, by the same commands that a user types: steps -1 to 7 of the README.

Without a corpus two are made up: one to train on, one with other tapes to compare on.
"""

from __future__ import annotations

import argparse
import csv
import glob
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

from hum_shared import names
from hum_shared.layout import CORPUS_INDEX, DATASET_PREFIX

HERE = Path(__file__).parent
WORKERS = "2"
"""Tasks at a time; they share the cores: two small networks with a core each are faster than one after the other."""
RF_SET = "rf_training"
"""The set in which the forest's candidates are found: the training tapes, apart from the benchmark's."""


def main() -> None:
    """Parse the command line and run every step; a failing step ends the demo with its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, help="training corpus; default: made up")
    parser.add_argument("--benchmark-corpus", type=Path, help="corpus to compare on; default: made up")
    parser.add_argument("--cfg", type=Path, default=HERE / "demo_paddock.json", help="variants, see demo_*.json")
    parser.add_argument("--out", type=Path, default=HERE.parent / "demo", help="workspace to fill")
    options = parser.parse_args()
    if (options.corpus is None) != (options.benchmark_corpus is None):
        parser.error("give both --corpus and --benchmark-corpus, or neither")
    demo = Demo(options.out.resolve(), json.loads(options.cfg.read_text(encoding="utf-8")))
    started = time.monotonic()
    demo.write_settings(options.corpus, options.benchmark_corpus)
    demo.run()
    demo.explain(time.monotonic() - started)


class Demo:
    """One workspace and the commands that fill it."""

    def __init__(self, workspace: Path, settings: dict[str, object]) -> None:
        self.workspace, self.settings = workspace, settings
        self.training = workspace / "data" / "training_corpus"
        self.benchmark = workspace / "data" / "benchmark_corpus"
        self.made_up = False

    def write_settings(self, corpus: Path | None, benchmark_corpus: Path | None) -> None:
        """Link or plan the corpora, then write the variant files and `workspace.toml`."""
        if corpus is None or benchmark_corpus is None:
            self.made_up = True
        else:
            mirrors = [*_links(corpus, self.training), *_links(benchmark_corpus, self.benchmark)]
            for link, source in mirrors:
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to(source, target_is_directory=source.is_dir())
        self.workspace.mkdir(parents=True, exist_ok=True)
        for name in ("dataset_prep", "train_variants", "benchmark_variants"):
            text = json.dumps(self.settings[name], indent=2) + "\n"
            (self.workspace / f"{name}.json").write_text(text, encoding="utf-8")
        (self.workspace / "workspace.toml").write_text(
            'site = "local-test"\n'
            'training_corpus = "data/training_corpus"\n'
            'benchmark_corpus = "data/benchmark_corpus"\n'
            'train_variants = "train_variants.json"\n'
            'benchmark_variants = "benchmark_variants.json"\n'
            'rf_model = "TRAINING/rf/forest.skops"\n',
            encoding="utf-8",
        )

    def run(self) -> None:
        """Run all steps."""
        if self.made_up:
            self._step("make up two paddocks: 4 tapes to train on, 3 others to compare on")
            self.synthesise()
        self._step("-1  index the corpora, cut the training dataset")
        for corpus in (self.training, self.benchmark):
            # Calls are cut out, or stand in selection tables.
            tables = [] if any(corpus.glob("*segmented*/")) else ["--from-selections"]
            self._call("hum-trainer", "index-corpus", f"data/{corpus.name}", *tables)
        self._call("hum-trainer", "prepare", "data/training_corpus", "--config", "dataset_prep.json")
        self._step("0-1 write the training cfgs, train the networks")
        self._call("hum-slurm", "training")
        self._stage("train")
        self._step("2-5 tune the decoders and train the forest on the training tapes")
        self._call("hum-slurm", "benchmark", "--corpus-root", "data/training_corpus", "--set", RF_SET)
        self._call("hum-slurm", "evaluation", "--set", RF_SET)
        # Models that learned from the corpus itself are tuned; dense ones have scored all its tapes already.
        planned = self.workspace / "BENCHMARK" / "sets" / RF_SET / "jobs"
        for stage in ("tune", "predict", "evaluate", "rf-train"):
            if (planned / f"{stage}.manifest.jsonl").is_file():
                self._stage(stage, "--set", RF_SET)
        self._step("2-5 score the benchmark tapes, decode")
        self._call("hum-slurm", "benchmark")
        self._call("hum-slurm", "evaluation")
        self._stage("predict")
        self._stage("evaluate")
        self._step("6   filter the selections with the forest")
        self._call("hum-slurm", "rf")
        self._stage("rf")
        self._step("7   compare every model × variant × layer with the ground truth")
        self._call(
            "hum-evaluator", "compare", "--gt", "data/benchmark_corpus/corpus_index.json", "--runs", "BENCHMARK/runs",
            "--layer", "both", "--out", "BENCHMARK/metrics.csv", "--per-tape-out", "BENCHMARK/metrics_per_tape.csv",
        )  # fmt: skip
        self._call(
            "hum-evaluator", "report", "--gt", "data/benchmark_corpus/corpus_index.json", "--runs", "BENCHMARK/runs",
            "--out", "BENCHMARK/report.html",
        )  # fmt: skip

    def synthesise(self) -> None:
        """Make up the two corpora."""
        command = ["hum-trainer", "synthesise-corpus"]
        self._call(*command, "data/training_corpus", "--tapes", "4", "--minutes", "3", "--seed", "1")
        self._call(
            *command, "data/benchmark_corpus", "--tapes", "3", "--minutes", "3", "--seed", "2",
            "--first-animal", "500",
        )  # fmt: skip

    def explain(self, seconds: float) -> None:
        """Say where everything lies and how to look at it."""
        with (self.workspace / "BENCHMARK" / "metrics.csv").open(newline="", encoding="utf-8") as file:
            best = max(csv.DictReader(file), key=lambda row: float(row["f1"]))
        run = self.workspace / "BENCHMARK" / "runs" / best["model"] / best["variant"] / best["layer"]
        table = min((run / "annotations").glob("*.txt"))
        stem = table.name.removesuffix("_predict_output.log.annotation.result.txt")
        files = self.benchmark.glob(f"*labelled_recordings*/{glob.escape(stem)}.*")
        recording = next(path for path in files if names.is_audio(path.name))
        print(f"\ndone in {seconds / 60:.1f} minutes; run it again and only what is missing is done")
        print(f"  report       {self.workspace}/BENCHMARK/report.html, for any browser: look, sort, listen")
        print(f"  metrics      {self.workspace}/BENCHMARK/metrics.csv, and per tape metrics_per_tape.csv")
        print(f"  networks     {self.workspace}/TRAINING/runs/models/<model>/models/ANIMAL-SPOT.pk")
        print(f"  score tracks {self.workspace}/BENCHMARK/scores/<model>/")
        print(f"  selections   {self.workspace}/BENCHMARK/runs/<model>/<variant>/{{evaluation,postrf}}/annotations/")
        print("in Raven: File > Open Sound Files…, then File > Open Selection Table…, for example")
        print(f"  {recording}")
        print(f"  {table}")

    def _stage(self, stage: str, *options: str) -> None:
        self._call("hum-slurm", "run", stage, "--executor", "local", "--workers", WORKERS, *options)

    def _call(self, *command: str) -> None:
        print(f"$ {shlex.join(command)}", flush=True)
        program = Path(sys.executable).parent / command[0]
        done = subprocess.run([str(program), *command[1:]], cwd=self.workspace, check=False)
        if done.returncode != 0:
            print(f"demo: {shlex.join(command)} ended with exit code {done.returncode}", file=sys.stderr)
            sys.exit(done.returncode)

    def _step(self, title: str) -> None:
        print(f"\n== {title}", flush=True)


def _links(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """Return the links by which `target` mirrors a corpus, each with what it leads to; ends where it holds another.

    By links nothing is written into the user's folder. Datasets and indexes are made anew. Links to what is no longer
    there are removed.
    """
    source = source.resolve()
    if target.resolve() == source:
        return []
    for path in sorted(target.iterdir()) if target.is_dir() else ():
        if path.name.startswith((".", DATASET_PREFIX)) or path.name == CORPUS_INDEX:
            continue
        if not (path.is_symlink() and path.readlink().is_relative_to(source)):
            print(
                f"demo: {path} is of another corpus than {source}; name another workspace: make demo DEMO_OUT=…",
                file=sys.stderr,
            )
            sys.exit(2)
        if not path.exists():
            path.unlink()
    wanted = (path for path in source.iterdir() if not path.name.startswith((".", DATASET_PREFIX)))
    return [(target / path.name, path) for path in wanted if path.name != CORPUS_INDEX]


if __name__ == "__main__":
    main()
