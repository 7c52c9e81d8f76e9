"""The notebook runs as it stands on what `compare` and the runs leave, with and without a forest's layer."""

from pathlib import Path

import pytest

from hum_evaluator.compare import Rules, compare
from hum_evaluator.csv_tables import write_rows
from support.evaluated_run import HOSTILE, PLAIN, add_forest_layer, write_run, write_truth

nbformat = pytest.importorskip("nbformat", reason="notebooks are tested where Jupyter's kernel is installed")
nbclient = pytest.importorskip("nbclient", reason="notebooks are tested where Jupyter's kernel is installed")

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "metrics_analysis.ipynb"
CALLS = {HOSTILE: [(1.0, 1.5), (3.0, 4.0)], PLAIN: [(0.5, 0.9), (2.0, 2.5)]}
pytestmark = [
    pytest.mark.slow,
    # The kernel is another process; what its sockets leave to the garbage collector here is not ours.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.parametrize("with_forest", [True, False])
def test_the_notebook_runs_from_start_to_end(tmp_path, monkeypatch, with_forest):
    run = write_run(tmp_path, CALLS, 6.0)
    if with_forest:
        add_forest_layer(run)
    truth = write_truth(
        tmp_path / "gt.json", {name: [(*call, 2) for call in calls] for name, calls in CALLS.items()}, 6
    )
    compared = compare(truth, tmp_path / "BENCHMARK/runs", Rules())
    write_rows(tmp_path / "BENCHMARK/metrics.csv", compared.runs, per_tape=False)
    write_rows(tmp_path / "BENCHMARK/metrics_per_tape.csv", compared.tapes, per_tape=True)
    monkeypatch.setenv("HUM_WORKSPACE", str(tmp_path))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    done = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    printed = "".join(
        output.get("text", "") for cell in done.cells if cell.cell_type == "code" for output in cell.outputs
    )
    assert f"{len(compared.runs)} results of 1 runs on 2 tapes" in printed
    assert ("4 selections, 3 kept, 1 turned down" if with_forest else "4 selections, 0 kept, 0 turned down") in printed


def test_the_notebook_holds_no_output_of_anybodys_machine():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in notebook.cells)
