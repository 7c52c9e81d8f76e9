"""The report in a real Chromium: nothing loaded from elsewhere, it sorts, filters, plays, and obeys the keyboard."""

import os
from pathlib import Path

import pytest

from hum_evaluator.report.build import Request, make_report
from support.browser import open_browser
from support.evaluated_run import HOSTILE, PLAIN, add_forest_layer, write_recording, write_run, write_truth

TRUE = {HOSTILE: [(1.0, 1.5, 3), (3.0, 4.0, 2), (8.0, 8.6, 3)], PLAIN: [(0.5, 0.9, 1), (6.0, 6.5, None)]}
FOUND = {HOSTILE: [(1.0, 1.5), (3.0, 4.0), (5.0, 5.5)], PLAIN: [(0.5, 0.9), (2.0, 2.5)]}
FEWER = {HOSTILE: [(1.0, 1.5)], PLAIN: [(2.0, 2.5)]}
SECONDS = 10.0

F1 = "[...document.querySelectorAll('#runs tbody tr')].map(row => parseFloat(row.cells[3].textContent))"
SHOWN = "[...document.querySelectorAll('#runs tbody tr')].filter(row => !row.hidden).length"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("Ä 'ws' $1")
    add_forest_layer(write_run(root, FOUND, SECONDS))
    add_forest_layer(write_run(root, FEWER, SECONDS, model="other <b>model"))
    for recording, calls in TRUE.items():
        write_recording(root / "data/audio" / recording, [call[:2] for call in calls], SECONDS)
    truth = write_truth(root / "gt.json", TRUE, SECONDS)
    out = root / "a report #1?.html"
    make_report(Request(root / "BENCHMARK/runs", truth, gallery=2), out)
    return out


@pytest.fixture(scope="module")
def page(report):
    with open_browser() as browser:
        browser.size(1280)
        browser.colour_scheme("light")
        browser.open(report)
        yield browser


@pytest.fixture
def artefacts(tmp_path):
    return Path(os.environ.get("HUM_ARTEFACTS", tmp_path))


def test_it_loads_without_errors_or_requests(page, report):
    assert page.run("document.readyState") == "complete"
    assert page.requests == [report.as_uri()]
    assert page.problems == []
    assert page.run("typeof boom") == "undefined"
    assert page.run("document.querySelectorAll('img').length") == 0


def test_the_page_does_not_scroll_sideways(page):
    for width in (1280, 390):
        page.size(width)
        assert page.run("document.documentElement.scrollWidth") <= width
    page.size(1280)


def test_a_heading_sorts_and_sorts_the_other_way(page):
    assert page.run(F1) == sorted(page.run(F1), reverse=True)
    button = "[...document.querySelectorAll('#runs th button')].find(one => one.textContent == 'F1')"
    page.run(f"{button}.click()")
    assert page.run(F1) == sorted(page.run(F1))
    assert page.run(f"{button}.closest('th').ariaSort") == "ascending"
    page.run(f"{button}.focus()")
    page.press("Enter", 13, "\r")
    assert page.run(F1) == sorted(page.run(F1), reverse=True)
    assert page.run(f"{button}.closest('th').ariaSort") == "descending"


def test_the_filter_and_the_layer_hide_rows_and_say_how_many(page):
    typed = (
        "(text => {const f = document.getElementById('filter'); f.value = text; f.dispatchEvent(new Event('input'))})"
    )
    page.run(f"{typed}('OTHER <b>')")
    assert page.run(SHOWN) == 2
    page.run("layer.value = 'postrf'; layer.dispatchEvent(new Event('change'))")
    assert page.run(SHOWN) == 1
    assert page.run("document.getElementById('shown').textContent") == "1 of 4 shown"
    page.run(f"layer.value = ''; {typed}('')")
    assert page.run(SHOWN) == 4


def test_tabs_show_one_run_at_a_time_and_follow_the_arrow_keys(page):
    visible = "[...document.querySelectorAll('.panel')].map(panel => !panel.hidden)"
    assert page.run(visible).count(True) == 1
    assert page.run(visible)[0]
    page.run("document.getElementById('tab-1').focus()")
    page.press("ArrowRight", 39)
    assert page.run(visible)[1]
    assert page.run("document.activeElement.id") == "tab-2"
    page.press("ArrowLeft", 37)
    assert page.run(visible)[0]


def test_a_sound_plays_and_its_line_moves(page):
    page.run("window.heard = document.querySelector('.panel:not([hidden]) audio'); heard.play()")
    page.wait_for("heard.currentTime > 0.1")
    cursor = "heard.closest('figure').querySelector('.cursor')"
    page.wait_for(f"{cursor}.getAttribute('visibility') == 'visible'")
    assert page.run("Math.abs(heard.duration - parseFloat(heard.dataset.length))") < 0.15
    page.run("window.other = [...document.querySelectorAll('.panel:not([hidden]) audio')][1]; other.play()")
    page.wait_for("heard.paused && !other.paused")
    page.run("other.pause()")
    assert page.problems == []


def test_a_click_on_a_picture_plays_from_there(page):
    page.run("window.svg = document.querySelector('.panel:not([hidden]) .spectrogram')")
    page.run("window.box = svg.getBoundingClientRect()")
    middle = "{bubbles: true, clientX: box.left + box.width / 2, clientY: box.top + 9}"
    page.run(f"svg.dispatchEvent(new MouseEvent('click', {middle}))")
    page.run("window.clicked = svg.closest('figure').querySelector('audio')")
    page.wait_for("clicked.currentTime > 0.4 * parseFloat(clicked.dataset.length)")
    page.run("clicked.pause()")
    assert page.problems == []


def test_everything_that_can_be_pressed_is_reached_by_tab_and_has_a_name(page, report):
    nameless = (
        "[...document.querySelectorAll('button, input, select, audio, [role=img], section')].filter(one => !("
        "one.textContent.trim() || one.ariaLabel || one.getAttribute('aria-labelledby') || one.labels?.length)).length"
    )
    assert page.run(nameless) == 0
    page.open(report)
    order = []
    for _ in range(16):
        page.press("Tab", 9)
        order.append(page.run("document.activeElement.id || document.activeElement.textContent.trim()"))
    assert order[0] == "Skip to the summary"
    assert {"Comparison", "theme", "filter", "layer", "F1"} <= {*order}


def test_light_and_dark_follow_the_system_and_the_button(page, artefacts):
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.run(background)
    page.screenshot(artefacts / "report_light.png", whole=True)
    page.colour_scheme("dark")
    page.wait_for(f"{background} != '{light}'")
    page.screenshot(artefacts / "report_dark.png", whole=True)
    page.run("document.getElementById('theme').click()")
    assert page.run(background) == light


def test_text_stands_out_from_its_background_in_both_themes(page):
    # WCAG 2.2: contrast of at least 4.5 for text.
    contrast = """(selector => {
        const luminance = colour => {
            const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
                .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
        };
        const one = document.querySelector(selector);
        let behind = one;
        while (getComputedStyle(behind).backgroundColor == 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
        const pair = [getComputedStyle(one).color, getComputedStyle(behind).backgroundColor].map(luminance).sort();
        const [low, high] = pair.sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    })"""
    for theme in ("light", "dark"):
        page.run(f"document.documentElement.dataset.theme = '{theme}'")
        for selector in ("p", ".sub", ".card.good p", ".card.warn li", "nav a", "#runs td", ".item figcaption"):
            assert page.run(f"{contrast}('{selector}')") >= 4.5, (theme, selector)
