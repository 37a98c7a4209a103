"""Without a browser a test of the page is skipped, with a word; in CI it fails."""

import browser
import pytest


@pytest.mark.parametrize(("ci", "outcome"), [("1", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_without_a_browser(monkeypatch, ci, outcome):
    monkeypatch.setattr(browser, "CHROMIUM", None)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="apt-get install chromium"), browser.browser():
        pass
