"""The browser that the other tests here look through sees errors, requests and what a page shows."""

import pytest

from support.browser import open_browser


@pytest.fixture(scope="module")
def page():
    with open_browser() as opened:
        yield opened


def test_errors_of_scripts_and_requests_are_seen(page, tmp_path):
    file = tmp_path / "Ä 'broken' $1.html"
    file.write_text('<title>x</title><img src="missing.png"><script>throw new Error("seen")</script>', "utf-8")
    page.open(file)
    page.wait_for("document.readyState == 'complete'")
    assert any("seen" in problem for problem in page.problems)
    assert any(url.endswith("missing.png") for url in page.requests)


def test_a_script_that_fails_fails_the_test(page):
    with pytest.raises(AssertionError, match="nowhere"):
        page.run("nowhere.to.be.found")
