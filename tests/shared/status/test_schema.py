"""Requests that follow, and that break, the OpenAPI description: the answers must be as described."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode

from support.status_workspace import Client, status_server, write_progress, write_run, write_stage

PATHS = [
    "/healthz",
    "/api/stages",
    "/api/tasks",
    "/api/tasks/{task_id}",
    "/api/runs",
    "/api/runs/{model}/{variant}",
    "/metrics",  # and not /api/events, which never ends
]
REFUSING = ["/api/tasks", "/api/runs/{model}/{variant}"]  # any text may be the id of a task


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    root = tmp_path_factory.mktemp("workspace")
    write_stage(root, "predict", ["a", "b"])
    write_progress(root, "predict", "a")
    write_run(root, "m", "v")
    with status_server(root) as asked:
        yield asked


@pytest.mark.parametrize("path", PATHS)
def test_answers_are_as_described(client: Client, path: str) -> None:
    assert _answers(client, path, GenerationMode.POSITIVE) > 0


@pytest.mark.parametrize("path", REFUSING)
def test_answers_to_wrong_requests_are_as_described(client: Client, path: str) -> None:
    assert _answers(client, path, GenerationMode.NEGATIVE) > 0


def _answers(client: Client, path: str, mode: GenerationMode) -> int:
    """Ask, and return how many answers were as described; one that is not is an error."""
    n_answers = 0
    operation = schemathesis.openapi.from_url(f"{client.url}/openapi.json")[path]["GET"]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=25, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: schemathesis.Case) -> None:
        nonlocal n_answers
        case.call_and_validate(timeout=20)
        n_answers += 1

    ask()
    return n_answers
