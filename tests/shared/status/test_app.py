"""The endpoints, against a running server."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from hum_shared.layout import Workspace
from support.status_workspace import (
    HOSTILE,
    Client,
    status_server,
    write_outcome,
    write_progress,
    write_run,
    write_stage,
)


def make_workspace(root: Path) -> Path:
    jobs = write_stage(root, "predict", ["a", "b", HOSTILE])
    write_progress(root, "predict", "a")
    write_progress(root, "predict", "b", "failed", message="a.wav: empty")
    write_outcome(jobs, "predict", 1, 2)
    jobs.log("predict", "b").write_text("first line\n\x1b[31merror: a.wav: empty\x1b[0m\n")
    write_stage(root, "train", ["v1"])
    write_progress(root, "train", "v1", "done", done=120)
    write_run(root, "m 1", "v")
    write_run(root, "m 1", "v", "postrf")
    (root / "BENCHMARK" / "metrics.csv").write_text("model,variant,layer,f1\nm 1,v,evaluation,0.5\nm 1,v,postrf,0.75\n")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "it's a $HOME ü.v1")


@pytest.fixture
def client(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A server whose looks count as quick, so that answers are of now on a busy machine, too."""
    monkeypatch.setattr("hum_shared.status.watcher._QUICK_S", 60.0)
    with status_server(root) as asked:
        yield asked


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server for tests that change nothing: starting one takes a while."""
    with status_server(make_workspace(tmp_path_factory.mktemp("fixed") / "it's a $HOME ü.v1")) as asked:
        yield asked


def test_the_server_says_that_it_is_up(fixed: Client) -> None:
    assert fixed.json("/healthz") == {"status": "ok"}


def test_stages_come_with_their_counts(fixed: Client) -> None:
    train, predict = fixed.json("/api/stages")
    assert (train["stage"], train["n_tasks"], train["counts"]["done"], train["share"]) == ("train", 1, 1, 1.0)
    assert (predict["stage"], predict["n_tasks"], predict["rate"]) == ("predict", 3, 10.0)
    assert predict["counts"] == {"failed": 1, "lost": 0, "partial": 0, "running": 1, "queued": 1, "done": 0}


def test_tasks_are_listed_by_stage_and_name(fixed: Client) -> None:
    assert [task["id"] for task in fixed.json("/api/tasks")] == [
        "train/v1",
        f"predict/{HOSTILE}",
        "predict/a",
        "predict/b",
    ]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("stage=train", ["train/v1"]),
        ("state=running", ["predict/a"]),
        ("stage=predict&state=failed", ["predict/b"]),
        ("stage=train&state=failed", []),
        ("stage=&state=done", ["train/v1"]),
        ("stage=nothing", []),
    ],
)
def test_tasks_are_chosen_by_stage_and_state(fixed: Client, query: str, ids: list[str]) -> None:
    assert [task["id"] for task in fixed.json(f"/api/tasks?{query}")] == ids


def test_an_unknown_state_is_refused_with_the_known_ones(fixed: Client) -> None:
    status, said = fixed.refused("/api/tasks?state=runing")
    assert status == 422
    assert "'running'" in said


def test_a_task_comes_with_the_end_of_its_log(fixed: Client) -> None:
    task = fixed.task("predict/b")
    assert (task["state"], task["exit_code"], task["message"]) == ("failed", 2, "a.wav: empty")
    assert task["command"] == ["hum-x", "run", "b.cfg"]
    assert task["log"] == "BENCHMARK/jobs/job_logs/predict_b.log"
    assert task["log_tail"] == "first line\nerror: a.wav: empty\n"


def test_a_long_log_is_cut_at_a_line(root: Path, client: Client) -> None:
    log = Workspace(root).benchmark().jobs.log("predict", "b")
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    lines = client.task("predict/b")["log_tail"].splitlines()
    assert len(lines) == 200
    assert lines[-1] == "line 99999"


def test_a_task_of_a_hostile_name_is_found(fixed: Client) -> None:
    assert fixed.task(f"predict/{HOSTILE}")["task"] == HOSTILE


@pytest.mark.parametrize(
    "path",
    [
        "/api/tasks/predict/nothing",
        "/api/tasks/../../../etc/passwd",
        "/api/tasks/predict/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/api/tasks/%2Fetc%2Fpasswd",
        "/api/tasks//etc/passwd",
        "/api/tasks/predict/a%00",
        "/api/runs/../..",
        "/api/runs/..%2f..%2f/x",
        "/api/runs/m%201/nothing",
        "/api/runs/m%201/v?set=val",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e%2fapp.py",
        "/../workspace.toml",
        "/docs",
        "/tasks/../../etc/passwd",
    ],
)
def test_there_is_nothing_but_what_was_found(fixed: Client, path: str) -> None:
    status, said = fixed.refused(path)
    assert status == 404
    assert "root:" not in said


@pytest.mark.parametrize("path", ["/healthz", "/", "/api/stages", "/metrics"])
def test_a_head_request_gets_the_head_alone(fixed: Client, path: str) -> None:
    with urlopen(Request(fixed.url + path, method="HEAD"), timeout=20) as answer:
        assert (answer.status, answer.read()) == (200, b"")
        assert int(answer.headers["Content-Length"]) > 0
    assert fixed.refused("/api/events", "HEAD")[0] == 405  # it would never end


def test_a_workspace_that_is_gone_is_a_problem(root: Path, client: Client) -> None:
    assert "hum_status_problems 0" in client.text("/metrics")
    root.rename(root.with_name("unmounted"))
    assert client.json("/api/stages") == []
    assert "hum_status_problems 1" in client.text("/metrics")
    assert "the workspace is not there" in client.text("/")


def test_nothing_can_be_changed(fixed: Client) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("/", "/api/tasks", "/api/tasks/predict/a", "/api/runs/m%201/v", "/metrics"):
            assert fixed.refused(path, method)[0] == 405


def test_nothing_is_written(root: Path, client: Client) -> None:
    def look() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in root.rglob("*")}

    before = look()
    for path in ("/", "/api/tasks", "/api/tasks/predict/b", "/api/runs", "/metrics", "/openapi.json"):
        client.text(path)
    assert look() == before


def test_links_that_lead_out_of_the_workspace_are_not_followed(root: Path, client: Client) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "predict_a.log").write_text("the secret")
    write_progress(outside, "rf", "stolen", message="the secret")
    jobs = Workspace(root).benchmark().jobs
    jobs.log("predict", "a").symlink_to(outside / "predict_a.log")
    (root / "progress" / "rf").symlink_to(outside / "progress" / "rf")
    (root / "progress" / "predict" / "c.json").symlink_to(outside / "progress" / "rf" / "stolen.json")
    for path in ("/api/tasks", "/api/tasks/predict/a", "/", "/tasks/predict/a", "/metrics"):
        assert "secret" not in client.text(path)
    assert "progress/rf: leads out of" in client.text("/")


def test_runs_come_with_the_numbers_of_both_layers(fixed: Client) -> None:
    (listed,) = fixed.json("/api/runs")
    run = fixed.json("/api/runs/m%201/v")
    assert run == listed
    assert {name: layer["metrics"] for name, layer in run["layers"].items()} == {
        "evaluation": {"f1": 0.5},
        "postrf": {"f1": 0.75},
    }


def test_a_change_is_seen_at_once(root: Path, client: Client) -> None:
    for done in range(1, 30):
        write_progress(root, "predict", "a", done=done)
        assert client.task("predict/a")["done"] == done


def test_a_vanished_workspace_is_an_empty_one(root: Path, client: Client) -> None:
    assert len(client.json("/api/tasks")) == 4
    shutil.rmtree(root)
    assert client.json("/api/tasks") == []
    assert client.json("/api/runs") == []
    assert "No tasks yet" in client.text("/")


def test_half_written_files_break_nothing(root: Path, client: Client) -> None:
    client.json("/api/tasks")
    for path in [*root.rglob("*.json"), *root.rglob("*.jsonl"), *root.rglob("*.csv")]:
        path.write_bytes(path.read_bytes()[:30])
    assert "Not readable" in client.text("/")
    assert {task["id"] for task in client.json("/api/tasks")} >= {"predict/a", "predict/b", "train/v1"}


def next_event(stream: object) -> dict[str, object]:
    for line in stream:  # type: ignore[attr-defined]
        if line.startswith(b"data: "):
            found: dict[str, object] = json.loads(line[6:])
            return found
    raise AssertionError("the stream ended")


def test_events_tell_every_listener_what_changed(root: Path, client: Client) -> None:
    streams = [client.open("/api/events") for _ in range(5)]
    first = [next_event(stream) for stream in streams]
    assert first == [first[0]] * 5
    assert streams[0].headers["Content-Type"].startswith("text/event-stream")
    write_progress(root, "predict", "a", done=60)
    for stream in streams:
        event = next_event(stream)
        assert event["changed"] == ["predict/a"]
        assert event["version"] == first[0]["version"] + 1  # type: ignore[operator]
        stream.close()


def test_two_hundred_listeners_share_one_look(root: Path, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import hum_shared.status.watcher as watcher

    looks: list[float] = []
    really_take = watcher.take

    def take(*given: object) -> object:
        looks.append(0.0)
        return really_take(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(watcher, "take", take)
    streams = [client.open("/api/events") for _ in range(200)]
    for stream in streams:
        next_event(stream)
    assert client.text("/metrics").count("hum_status_listeners 200.0") == 1
    write_progress(root, "predict", "a", done=60)
    looks.clear()
    assert all(next_event(stream)["changed"] == ["predict/a"] for stream in streams)
    assert len(looks) < 20
    for stream in streams:
        stream.close()


def test_streams_end_with_the_server(root: Path) -> None:
    with status_server(root) as client:
        streams = [client.open("/api/events") for _ in range(3)]
        for stream in streams:
            next_event(stream)
    assert [stream.read() for stream in streams] == [b"\n"] * 3
    with pytest.raises(OSError, match="refused"):
        client.text("/healthz")


def test_requests_at_once_are_all_answered(fixed: Client) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.extend(len(fixed.json("/api/tasks")) for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [4] * 100


def test_prometheus_can_read_the_metrics(fixed: Client) -> None:
    text = fixed.text("/metrics")
    label = r'[a-z]+="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
    sample = re.compile(rf"hum_[a-z_]+(?:\{{{label}(?:,{label})*\}})? [0-9.e+-]+")
    for line in text.splitlines():
        assert line.startswith(("# HELP hum_", "# TYPE hum_")) or sample.fullmatch(line), line
    assert 'hum_tasks{stage="predict",state="failed"} 1.0' in text
    assert 'hum_task_share{stage="predict",task="a",unit="windows"} 0.25' in text
    assert 'hum_run{set="",model="m 1",variant="v",layer="postrf",metric="f1"} 0.75' in text


def test_prometheus_labels_are_escaped(root: Path, client: Client) -> None:
    write_progress(root, "predict", 'quote " and \\ and\nline')
    assert 'task="quote \\" and \\\\ and\\nline"' in client.text("/metrics")


def test_the_description_has_an_example_of_every_answer(fixed: Client) -> None:
    api = fixed.json("/openapi.json")
    assert set(api["paths"]) == {
        "/healthz",
        "/api/stages",
        "/api/tasks",
        "/api/tasks/{task_id}",
        "/api/runs",
        "/api/runs/{model}/{variant}",
        "/api/events",
        "/metrics",
    }
    for name, schema in api["components"]["schemas"].items():
        assert schema.get("examples") or name in ("HTTPValidationError", "ValidationError"), name


def test_names_are_escaped_in_the_page(root: Path, client: Client) -> None:
    write_progress(root, "predict", HOSTILE, "failed", message=HOSTILE)
    log = Workspace(root).benchmark().jobs.log("predict", HOSTILE)
    log.write_text(HOSTILE)
    hostile = quote(f"predict/{HOSTILE}")
    for path in ("/", f"/?q={quote(HOSTILE)}&stage={quote(HOSTILE)}&sort={quote(HOSTILE)}", f"/tasks/{hostile}"):
        page = client.text(path)
        assert "<img src=x" not in page
        assert "predict" in page
    assert "&lt;img src=x" in client.text("/")
    assert f"/tasks/{hostile}" in client.text("/")


def test_a_task_that_is_not_there_has_a_page_that_says_so(fixed: Client) -> None:
    status, said = fixed.refused("/tasks/predict/%3Cscript%3E")
    assert status == 404
    assert "&lt;script&gt;" in said
