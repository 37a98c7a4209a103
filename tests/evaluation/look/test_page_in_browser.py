"""The page in a real browser: what is found, what is shown of a rollout, and what hostile texts cannot do."""

import pytest
from browser import browser, open_page, wait_for
from rollout_samples import DOT_URI, HOSTILE, group, hostile, many
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from verl_hdpo.evaluation.look.page import write_page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def driver():
    with browser() as found:
        yield found


@pytest.fixture
def page(driver, tmp_path):
    """Writes rollouts into a page and opens it."""

    def opened(rollouts, fragment=""):
        path = tmp_path / "look.html"
        write_page(rollouts, path, "Rollouts of a test")
        open_page(driver, path, fragment)
        return driver

    return opened


def shown(driver):
    """How many rollouts are in the list."""
    return int(driver.execute_script("return document.documentElement.dataset.shown"))


def wait_shown(driver, count):
    wait_for(driver, f"document.documentElement.dataset.shown === '{count}'")


def kind(driver, name):
    return driver.find_element(By.CSS_SELECTOR, f"#kinds button[data-kind='{name}']")


def detail(driver):
    return driver.find_element(By.ID, "detail").text


def choose(driver, name, value):
    driver.execute_script(
        "const [id, value] = arguments, it = document.getElementById(id); it.value = value;"
        "it.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        value,
    )


def key(driver, keys):
    driver.find_element(By.TAG_NAME, "body").send_keys(keys)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("called-right", 10),
        ("needless", 10),
        ("missed", 10),
        ("correct", 20),
        ("wrong", 10),
        ("unknown", 5),
        ("lost", 5),
    ],
)
def test_each_kind_is_found_and_counted(page, name, count):
    driver = page(many(40))
    assert kind(driver, name).text.endswith(f" {count}")
    kind(driver, name).click()
    wait_shown(driver, count)
    kind(driver, name).click()  # once more: all
    wait_shown(driver, 40)


@pytest.mark.parametrize(
    ("name", "value", "matches"),
    [
        ("source", "source1", lambda one: one.source == "source1"),
        ("step", "2", lambda one: one.step == 2),
        ("tool", "search", lambda one: "search" in one.tools),
        ("longest", "20", lambda one: one.written <= 20),
        ("shortest", "60", lambda one: one.written >= 60),
        ("search", "Question 17:", lambda one: one.group.endswith(":g17")),
        ("search", " WORD527 ", lambda one: any("word527 " in turn.text for turn in one.turns)),
        ("search", "nobody said this", lambda one: False),
    ],
)
def test_filters(page, name, value, matches):
    rollouts = many(200)
    count = sum(map(matches, rollouts))
    assert count < 200
    driver = page(rollouts)
    choose(driver, name, value)
    wait_shown(driver, count)
    driver.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    wait_shown(driver, 200)


def test_sorting_puts_what_has_no_value_last(page):
    driver = page(many(40))
    choose(driver, "sort", "a_tool-")
    wait_for(driver, "list.rows[0].a_tool === 0.707")
    found = driver.execute_script("return list.rows.map((row) => row.a_tool ?? null)")
    numbers = [value for value in found if value is not None]
    assert numbers == sorted(numbers, reverse=True)
    choose(driver, "sort", "calls-")
    wait_for(driver, "list.rows[0].calls === 1")


def test_a_rollout_says_why_it_went_up_or_down_beside_its_siblings(page):
    driver = page(group(1), "#r=1%3Ag1_0")
    text = detail(driver)
    assert "A_acc +0.58 moves it up: its reward is 1.00, the mean of the 3 rollouts of known outcome 0.67." in text
    assert "A_tool -0.71 moves it down: its r_tool is 0.50, the mean of the 2 right rollouts 0.75." in text
    assert "A sibling is right without a call" in text
    assert len(driver.find_elements(By.CSS_SELECTOR, "#siblings tbody tr")) == 4
    for words in ("reference", "the grader saw", "✓ right, by exact", "Ledger: T 1, 1 rounds", "word31 ", "calculator"):
        assert words in text
    driver.find_elements(By.CSS_SELECTOR, "#siblings tbody tr")[2].click()
    wait_for(driver, "location.hash === '#r=1%3Ag1_2'")
    wait_for(driver, "document.getElementById('detail').textContent.includes('a call was missed here')")
    assert "a wrong one gains nothing by being cheap" in detail(driver)
    driver.find_elements(By.CSS_SELECTOR, "#siblings tbody tr")[3].click()
    wait_for(driver, "document.getElementById('detail').textContent.includes('unknown (judge_error)')")


def test_thinking_and_calls_are_folded_and_open_where_the_search_finds_them(page):
    driver = page(group(1), "#r=1%3Ag1_0")
    folds = driver.find_elements(By.CSS_SELECTOR, "#detail details")
    assert len(folds) == 2
    assert not any(fold.get_attribute("open") for fold in folds)
    key(driver, "f")
    wait_for(driver, "document.querySelectorAll('#detail details[open] pre').length === 2")
    choose(driver, "search", "expression")
    wait_shown(driver, 1)
    wait_for(driver, "document.querySelectorAll('#detail details[open] mark').length === 1")


def test_keys(page):
    driver = page(many(40))
    for keys, picked in [
        ("j", "1:g0_0"),
        ("j", "1:g0_1"),
        ("k", "1:g0_0"),
        ("n", "1:g1_0"),
        ("n", "1:g2_0"),
        ("p", "1:g1_3"),
    ]:
        key(driver, keys)
        wait_for(driver, f"list.picked && list.picked.id === '{picked}'")
    key(driver, "/")
    assert driver.switch_to.active_element.get_attribute("id") == "search"
    driver.switch_to.active_element.send_keys("j", Keys.ESCAPE)  # typed, not obeyed
    assert driver.execute_script("return list.picked.id") == "1:g1_3"


def test_a_link_leads_to_one_rollout_and_says_so_if_there_is_none(page):
    driver = page(many(4000), "#r=10%3Ag249_2")
    assert driver.execute_script("return list.picked.at") == 249 * 4 + 2
    assert driver.find_element(By.CSS_SELECTOR, ".row[aria-selected=true]").is_displayed()
    driver.execute_script("location.hash = '#r=gone'")
    wait_for(driver, "document.getElementById('detail').textContent.includes('No rollout here is called gone')")


def test_the_list_draws_only_what_is_seen(page):
    driver = page(many(4000))
    assert len(driver.find_elements(By.CSS_SELECTOR, ".row")) < 60
    driver.execute_script("document.getElementById('list').scrollTop = 46 * 3000")
    wait_for(driver, "[...document.querySelectorAll('.row')].some((row) => row.textContent.includes('Question 750:'))")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_text(page, name):
    driver = page(hostile())
    for _ in range([*HOSTILE].index(name) + 1):
        key(driver, "j")
    wait_for(driver, "document.querySelectorAll('#detail .turn').length === 4")
    key(driver, "f")
    wait_for(driver, "document.querySelectorAll('#detail details[open] pre').length >= 2")
    assert driver.title == "Rollouts of a test"
    said = driver.execute_script("return [...document.querySelectorAll('#detail pre')].map((it) => it.textContent)")
    expected = {
        "ansi": "\u241b[31mred\u241b[0m \u241b]0;owned\u2407 bell",
        "rtl": "abc ⟨U+202E⟩gnp.exe⟨U+202C⟩ \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
        "half": "⟨U+D800⟩ half of a character",
        "hidden": "a⟨U+200B⟩b⟨U+2028⟩c⟨U+FEFF⟩",
        "long": "x" * 20_000 + "\nshow all 300,000 characters",
    }.get(name, HOSTILE[name])
    assert expected in said
    # Nothing became an element, and of the images only the one that is one.
    assert driver.execute_script("return document.querySelectorAll('#detail b, #detail script, #list b').length") == 0
    images = driver.find_elements(By.CSS_SELECTOR, "#detail img")
    assert [image.get_attribute("src") for image in images] == [DOT_URI]
    assert driver.execute_script("return document.querySelector('#detail img').naturalWidth") == 1
    assert [line for line in driver.get_log("browser") if line["level"] == "SEVERE"] == []
    width = "document.getElementById('detail').scrollWidth <= document.getElementById('detail').clientWidth"
    assert driver.execute_script(f"return {width}"), "a huge line makes the page wider than it is"


def test_a_long_text_is_shown_whole_on_demand(page):
    driver = page(hostile(), "")
    for _ in range(len(HOSTILE)):
        key(driver, "j")
    wait_for(driver, "document.querySelector('#detail .more')")
    driver.execute_script("document.querySelector('#detail .more').click()")
    assert driver.execute_script("return document.querySelector('#detail pre').textContent.length") == 300_000


def test_the_policy_stops_what_a_text_might_smuggle_in(page):
    driver = page(group(1))
    driver.execute_script(
        "const it = document.createElement('script'); it.textContent = 'document.title = 1'; document.body.append(it);"
        "const image = document.createElement('img'); image.src = 'https://example.org/x'; document.body.append(image)"
    )
    assert driver.title == "Rollouts of a test"
    refused = [line["message"] for line in driver.get_log("browser")]
    assert any("script-src" in line for line in refused)
    assert any("img-src" in line for line in refused)


@pytest.mark.parametrize("dark", [False, True])
def test_on_a_phone_the_list_and_the_rollout_take_turns(dark, tmp_path):
    path = tmp_path / "look.html"
    write_page(many(40), path, "Rollouts of a test")
    with browser(390, 800, dark) as driver:
        open_page(driver, path)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
        driver.find_elements(By.CSS_SELECTOR, ".row")[1].click()
        wait_for(driver, "document.querySelector('#detail .turn')")
        assert not driver.find_element(By.ID, "list").is_displayed()
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
        driver.find_element(By.ID, "back").click()
        assert driver.find_element(By.ID, "list").is_displayed()
        background = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(255, 255, 255)") != dark
