"""The status page in a real Chromium: loads without errors or requests elsewhere, keeps itself up to date."""

import os
from pathlib import Path

import pytest

from hum_shared.layout import Workspace
from support.browser import open_browser
from support.status_workspace import HOSTILE, status_server, write_outcome, write_progress, write_run, write_stage


@pytest.fixture(scope="module")
def page():
    with open_browser() as opened:
        yield opened


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "paddock 2021"
    jobs = write_stage(root, "predict", ["v1", "v2", "v3", HOSTILE])
    write_progress(root, "predict", "v1", message="387_20201207_cut.wav", host="gpu07")
    write_progress(root, "predict", "v2", "failed", message="a.wav: empty. Copy it again.")
    write_outcome(jobs, "predict", 1, 2)
    jobs.log("predict", "v2").write_text("".join(f"line {n}\n" for n in range(50)) + "error: a.wav: empty\n")
    write_progress(root, "predict", "v3", ago_s=600)
    write_progress(root, "predict", HOSTILE, message=HOSTILE)
    for layer in ("evaluation", "postrf"):
        write_run(root, "m_1", "len400_hop050_th90", layer)
    numbers = "m_1,len400_hop050_th90,evaluation,90,0.5\nm_1,len400_hop050_th90,postrf,90,0.75\n"
    Workspace(root).benchmark().metrics.write_text(f"model,variant,layer,n_gt,f1\n{numbers}")
    return root


@pytest.fixture
def url(root, page):
    page.requests.clear()
    page.problems.clear()
    page.size(1280, 900)
    with status_server(root) as client:
        yield client.url
        page.open("about:blank")


def open_live(page, address):
    page.open(address)
    page.wait_for("document.getElementById('live').classList.contains('on')")


def test_the_page_loads_without_errors_or_requests_elsewhere(page, url):
    open_live(page, f"{url}/")
    page.open(f"{url}/tasks/predict/v2")
    assert page.problems == []
    assert {address for address in page.requests if not address.startswith(f"{url}/")} <= {"about:blank"}


def test_what_failed_comes_first_with_its_reason_and_the_end_of_its_log(page, url):
    open_live(page, f"{url}/")
    first = page.run("document.querySelector('.failure').innerText")
    assert "failed" in first
    assert "a.wav: empty. Copy it again." in first
    assert "error: a.wav: empty" in first
    states = page.run("[...document.querySelectorAll('#tasks ~ table .state')].map(s => s.innerText)")
    assert states == ["failed", "lost", "running", "running"]


def test_the_page_follows_the_work_and_keeps_what_a_person_is_doing(page, root, url):
    open_live(page, f"{url}/")
    page.run("document.querySelector('.failure details').open = false")
    page.run("document.querySelector('input[name=q]').focus()")
    page.run("document.querySelector('input[name=q]').value = 'half a wo'")
    row = "document.querySelector('tr[data-key=\"predict/v1\"] progress')"
    page.run(f"window.bar = {row}")
    assert page.run("bar.value") == pytest.approx(0.25)
    write_progress(root, "predict", "v1", done=90)
    page.wait_for("bar.value == 0.75")
    assert page.run(f"{row} === bar")  # changed in place
    assert page.run("document.activeElement.name + ':' + document.activeElement.value") == "q:half a wo"
    assert page.run("document.querySelector('.failure details').open") is False


def test_a_new_failure_is_said_to_screen_readers(page, root, url):
    open_live(page, f"{url}/")
    assert page.run("document.title") == "2 to look at · paddock 2021"
    write_progress(root, "predict", "v1", "failed", message="broken")
    page.wait_for("document.getElementById('said').innerText == '1 more to look at, 3 in all'")
    assert page.run("document.getElementById('said').getAttribute('role')") == "status"
    assert page.run("document.title") == "3 to look at · paddock 2021"


def test_tasks_are_filtered_and_sorted(page, url):
    open_live(page, f"{url}/")
    page.run("document.querySelector('select[name=state]').value = 'running'")
    page.run("document.querySelector('form button').click()")
    page.wait_for("location.search.includes('state=running')")
    shown = "[...document.querySelectorAll('#tasks ~ table tbody th')].map(s => s.innerText)"
    page.wait_for(f"{shown}.length == 2")
    assert page.run(shown) == [HOSTILE, "v1"]
    page.run("[...document.querySelectorAll('thead a')].find(a => a.innerText == 'Task').click()")
    page.wait_for("location.search.includes('sort=task')")
    page.wait_for("document.querySelector('thead th[aria-sort]')?.innerText == 'Task'")
    assert page.run(shown) == [HOSTILE, "v1"]


def test_runs_show_both_layers_and_mark_the_best(page, url):
    open_live(page, f"{url}/")
    rows = page.run("[...document.querySelectorAll('.runs tbody tr')].map(row => row.innerText)")
    assert ["postrf" in row for row in rows] == [True, False]
    assert "0.750" in rows[0]
    assert page.run("document.querySelector('.runs tr.best').innerText.includes('postrf')")


def test_names_cannot_become_markup(page, root, url):
    open_live(page, f"{url}/")
    write_progress(root, "predict", HOSTILE, "failed", message=HOSTILE)
    page.wait_for("[...document.querySelectorAll('.failure')].length == 3")
    assert page.run("document.querySelectorAll('main img').length") == 0
    assert page.run("document.title").startswith("3 to look at")


def test_a_lost_connection_is_shown_and_found_again(page, root):
    with status_server(root) as client:
        open_live(page, f"{client.url}/")
    page.wait_for("document.getElementById('live').classList.contains('off')")
    assert "no connection" in page.run("document.getElementById('live').innerText")
    with status_server(root, port=int(client.url.rpartition(":")[2])):
        page.wait_for("document.getElementById('live').innerText.startsWith('live, as of')")
        page.open("about:blank")


def test_everything_can_be_reached_with_the_keyboard(page, url):
    open_live(page, f"{url}/")
    page.press("Tab", 9)
    assert page.run("document.activeElement.innerText") == "Skip to the content"
    reached = set()
    for _ in range(60):
        page.press("Tab", 9)
        reached.add(page.run("document.activeElement.tagName"))
    assert {"A", "SUMMARY", "PRE", "SELECT", "INPUT", "BUTTON"} <= reached


def test_screen_readers_find_names_for_everything(page, url):
    open_live(page, f"{url}/")
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "link", "combobox", "searchbox", "ProgressIndicator", "progressbar", "heading", "columnheader"}
    seen = set()
    for node in nodes:
        role = node.get("role", {}).get("value")
        if role in named and not node.get("ignored"):
            seen.add(role)
            assert node.get("name", {}).get("value", "").strip(), (role, node)
    assert {"link", "heading", "columnheader", "table", "row"} <= seen | {
        node.get("role", {}).get("value") for node in nodes
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("name", "width"), [("desktop", 1280), ("phone", 360)])
def test_the_page_fits_and_can_be_read(page, url, tmp_path, scheme, name, width):
    page.size(width, 800)
    page.colour_scheme(scheme)
    open_live(page, f"{url}/")
    assert page.run("document.documentElement.scrollWidth") <= width
    # WCAG AA: text against its background, at least 4.5:1.
    contrast = page.run(CONTRAST)
    assert contrast["ratio"] >= 4.5, contrast
    page.screenshot(Path(os.environ.get("HUM_ARTEFACTS", tmp_path)) / f"status_{name}_{scheme}.png", whole=True)


CONTRAST = """
(() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, a] = rgb(getComputedStyle(e).backgroundColor);
      if (a === undefined || a > 0) return [r, g, b];
    }
    return [255, 255, 255];
  };
  let worst = { ratio: 21, text: "" };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.tagName === "OPTION") continue;
    const pair = [light(rgb(getComputedStyle(element).color)), light(ground(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < worst.ratio) worst = { ratio, text: walker.currentNode.data.trim().slice(0, 40) };
  }
  return worst;
})()
"""
