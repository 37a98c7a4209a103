"""The report of a comparison in a real browser: words, the best marked, sorting, what a mark tells, a narrow screen."""

from __future__ import annotations

import pytest
from browser import browser, open_page
from planned_runs import logged, planned

from verl_hdpo.compare.report import write_report

HOSTILE = "<b>q</b>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    runs = planned(folder, seeds=[1, 2])
    for run in runs:
        use = 0.1 if run.variant.label == "hdpo" else 1.0
        told = {"tool_use_rate": use, "accuracy": 0.7 + 0.1 * run.seed, "tool_calls/mean": use}
        steps = [{f"hdpo/{HOSTILE}/{name}": value for name, value in told.items()} | {"timing_s/step": 30.0}] * 3
        logged(run, list(enumerate(steps, 1)))
        run.finish({"seconds": 90})
    return write_report(runs, folder, title="Mine <i>too</i>")


def cells(driver, column):
    return driver.execute_script(
        f"return [...document.querySelectorAll('tbody tr')].map(r => r.cells[{column}].innerText)"
    )


@pytest.mark.slow
def test_the_report_says_sorts_and_tells(page):
    with browser() as driver:
        open_page(driver, page)
        assert driver.execute_script("return document.querySelector('h1').innerText") == "Mine <i>too</i>"
        words = driver.execute_script("return document.querySelector('.verdict').innerText")
        assert "Of these, hdpo makes the fewest calls, 0.10 per answer; the most is 1.00." in words
        best = driver.execute_script("return [...document.querySelectorAll('td.best')].map(c => c.innerText)")
        assert len(best) == 3 and all(text.endswith("★") for text in best)
        before = cells(driver, 1)
        calls = driver.find_elements("css selector", "th button")[5]
        calls.click()
        assert [text.partition(" ")[0] for text in cells(driver, 5)] == ["0.10", "1.00"]
        calls.click()
        assert [text.partition(" ")[0] for text in cells(driver, 5)] == ["1.00", "0.10"]
        assert sorted(cells(driver, 1)) == sorted(before)
        driver.execute_script("document.querySelectorAll('svg a')[0].dispatchEvent(new Event('focus'))")
        tip = driver.execute_script("return document.getElementById('tip').innerText")
        assert "step 1: accuracy" in tip and "%" in tip
        assert driver.execute_script("return document.querySelectorAll('b').length") == 0
        assert not [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]


@pytest.mark.slow
def test_a_mark_tells_what_it_is_where_it_is_pointed_at(page):
    from selenium.webdriver import ActionChains

    with browser() as driver:
        open_page(driver, page)
        mark = driver.find_elements("css selector", "svg a")[1]
        driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
        ActionChains(driver).move_to_element(mark).perform()
        assert "step 2: accuracy" in driver.execute_script("return document.getElementById('tip').innerText")


@pytest.mark.slow
def test_a_phone_scrolls_the_table_and_not_the_page(page):
    with browser(width=390, height=800) as driver:
        open_page(driver, page)
        wide = driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 390
        assert driver.execute_script("return document.querySelectorAll('svg').length") == 3
