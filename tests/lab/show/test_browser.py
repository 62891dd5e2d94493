"""The report in a browser: it filters, has two dresses, asks for nothing; fifty experiments open fast."""

import json
import shutil
import time

import pytest

from jaxtheory.lab.show import report
from tests.lab import finished_runs as fake

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.beyond,
    pytest.mark.skipif(
        not (BROWSER and DRIVER), reason="needs a browser: apt-get install chromium chromium-driver"
    ),
]
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_window_size(1280, 900)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def fifty(tmp_path_factory):
    """Fifty experiments in five sections, each with three figures, some of them photographs."""
    top = tmp_path_factory.mktemp("fifty")
    pictures = [fake.picture(seed) for seed in range(4)]
    photographs = [fake.photograph(seed) for seed in range(2)]
    assert max(map(len, pictures + photographs)) > 150_000
    for i in range(50):
        section = ("history", "harmonic", "sparse", "landscape", "statistics")[i % 5]
        file = fake.write_experiment(top / "experiments", section, f"experiment_{i}")
        figures = [
            (pictures[i % 4], "A curve"),
            (pictures[(i + 1) % 4], "Another"),
            (photographs[i % 2], "Disks"),
        ]
        fake.write_run(top / "runs", file, figures=figures[: 2 + i % 2])
    fake.write_bench(top / "runs")
    output = top / "report.html"
    assert report.command(top / "runs", output, experiments=top / "experiments") == 0
    return output


@pytest.fixture
def opened(browser, fifty):
    """The page, freshly opened, with nothing left in the logs."""
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(fifty.as_uri())
    # What scrolls smoothly is not where a click aims.
    browser.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
    return browser


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def shown(browser):
    """The claims that the filters keep, those under a fold included."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.claims > tbody > tr')]"
        ".filter(row => !row.hidden && !row.closest('[hidden]')).map(row => ({...row.dataset}))"
    )


def test_fifty_experiments_stay_small_and_open_fast(opened, fifty):
    assert fifty.stat().st_size < 10e6
    seconds = []
    for _ in range(3):  # tests beside this one may hold the processor up
        start = time.perf_counter()
        opened.get(fifty.as_uri())
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 2
    assert len(find(opened, ".claims > tbody > tr")) == 250
    assert len(find(opened, "article")) == 51
    assert len(find(opened, ".contents li")) == 51


def test_nothing_is_asked_for_and_nothing_goes_wrong(opened):
    for button in find(opened, ".verdicts button, #theme"):
        button.click()
    find(opened, "article .picture")[0].click()
    assert opened.execute_async_script(
        "const done = arguments[0], images = [...document.images].filter(i => i.src);"
        "const load = i => new Promise(loaded => { i.onload = loaded; i.loading = 'eager'; i.src = i.src; });"
        "Promise.all(images.map(load)).then(() => done(images.every(i => i.naturalWidth > 0)));"
    )
    assert opened.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    requests = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert requests
    assert {url.split(":")[0] for url in requests} <= {"file", "data"}
    assert sum(url.startswith("file") for url in requests) == 1


def test_the_page_forbids_requests_and_foreign_scripts(opened):
    opened.execute_script(
        "const script = document.createElement('script'), image = document.createElement('img');"
        "script.textContent = 'window.ran = true';"
        "image.src = 'https://example.invalid/x.png';"
        "document.body.append(script, image);"
    )
    assert opened.execute_script("return window.ran") is None
    refused = [entry["message"] for entry in opened.get_log("browser")]
    assert len(refused) == 2
    assert all("Content Security Policy" in message for message in refused)


def test_filters_filter(opened):
    assert len(shown(opened)) == 250
    section = find(opened, "#section")[0]
    section.send_keys("Sparse")
    assert {row["section"] for row in shown(opened)} == {"sparse"}
    assert len(shown(opened)) == 50
    tie = next(button for button in find(opened, ".verdicts button") if "tie" in button.text)
    tie.click()
    assert tie.get_attribute("aria-pressed") == "true"
    assert len(shown(opened)) == 10
    fails = next(button for button in find(opened, ".verdicts button") if "does not hold" in button.text)
    fails.click()
    assert len(shown(opened)) == 20
    assert find(opened, "#shown")[0].text == "20 of 250 claims"
    find(opened, "#text")[0].send_keys("experiment_12 ERROR")
    assert [row["experiment"] for row in shown(opened)] == ["sparse-experiment_12"]
    shown_articles = [one.get_attribute("id") for one in find(opened, "article") if one.is_displayed()]
    assert shown_articles == ["sparse-experiment_12", "bench-scattering2d"]
    assert [one.text for one in find(opened, ".part h2") if one.is_displayed()] == ["Sparse coding"]
    entries = [one for one in find(opened, ".contents li[data-article]") if one.is_displayed()]
    assert [one.get_attribute("data-article") for one in entries] == ["sparse-experiment_12"]
    find(opened, "#text")[0].send_keys(" nowhere")
    assert shown(opened) == []
    assert find(opened, "#none")[0].is_displayed()
    find(opened, "#reset")[0].click()
    assert len(shown(opened)) == 250
    assert find(opened, "#shown")[0].text == "250 claims"


@pytest.mark.parametrize("system", ["light", "dark"])
def test_light_and_dark(opened, system):
    features = {"features": [{"name": "prefers-color-scheme", "value": system}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", features)

    def is_dark():
        color = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
        return int(color.removeprefix("rgb(").split(",")[0]) < 128

    opened.execute_script("localStorage.clear()")
    opened.refresh()
    theme = find(opened, "#theme")[0]
    assert "Auto" in theme.text
    assert is_dark() == (system == "dark")
    for name in ("Light", "Dark"):
        theme.click()
        assert name in theme.text
        assert is_dark() == (name == "Dark")
    opened.refresh()
    assert is_dark()  # it is remembered
    opened.execute_script("localStorage.clear()")
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_picture_opens(opened):
    thumbnail = find(opened, "article .picture")[0]
    large = find(opened, "#large")[0]
    assert not large.is_displayed()
    thumbnail.click()
    assert large.is_displayed()
    picture = large.find_element("css selector", "img")
    opened.execute_async_script("arguments[0].decode().then(arguments[1])", picture)
    assert int(picture.get_property("naturalWidth")) == 840
    assert large.text == "A curve"
    large.click()
    assert not large.is_displayed()


def test_a_picture_has_its_room_before_it_is_there(opened):
    """So that what one reads does not jump when a picture further up is loaded."""
    sizes = opened.execute_script(
        "return [...document.querySelectorAll('.opening img')]"
        ".map(one => [one.clientWidth, one.clientHeight])"
    )
    assert sizes == [[840, 540]] * 50


def test_it_fits_a_phone(opened):
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        width = opened.execute_script("return document.documentElement.scrollWidth")
        assert width == 390
        for cell in find(opened, "article:first-of-type .claims > tbody > tr:first-child > *")[:4]:
            assert 0 <= cell.rect["x"] <= cell.rect["x"] + cell.rect["width"] <= 390
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_table_is_one_for_screen_readers(opened):
    tree = opened.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [node["role"]["value"] for node in tree if not node["ignored"]]
    assert roles.count("columnheader") >= 6
    assert roles.count("rowheader") >= 200  # the untested ones are folded
    unnamed = [
        node["nodeId"]
        for node in tree
        if not node["ignored"]
        and node["role"]["value"] in ("button", "link", "image", "searchbox", "combobox")
        and not node.get("name", {}).get("value")
    ]
    assert unnamed == []


def test_untested_claims_are_folded_until_they_are_asked_for(opened):
    folds = find(opened, ".missing")
    assert len(folds) == 50
    assert not any(fold.get_attribute("open") for fold in folds)
    assert "1 claim needs 60,000 digits" in folds[0].text
    untested = next(button for button in find(opened, ".verdicts button") if "not tested" in button.text)
    untested.click()
    assert all(fold.get_attribute("open") for fold in folds)
    assert len(shown(opened)) == 50
    assert find(opened, ".missing .claims")[0].is_displayed()


def test_a_section_of_the_summary_is_shown_again_when_it_is_linked_to(opened):
    find(opened, "#text")[0].send_keys("experiment_12")
    assert len(shown(opened)) == 5
    link = find(opened, ".summary a[href='#section-statistics']")[0]
    opened.execute_script("arguments[0].click()", link)
    assert len(shown(opened)) == 250
    assert find(opened, "#text")[0].get_property("value") == ""


def test_a_link_leads_to_the_experiment_and_it_stays_there(opened):
    link = find(opened, "a[href='#statistics-experiment_44']")[0]
    opened.execute_script("arguments[0].click()", link)
    figures = find(opened, "#statistics-experiment_44 .opening img")
    wait = "const wait = () => arguments[0].complete ? arguments[1]() : setTimeout(wait, 20); wait()"
    opened.execute_async_script(wait, figures[-1])
    top = "return document.getElementById('statistics-experiment_44').getBoundingClientRect().top"
    assert 0 <= opened.execute_script(top) < 100


def test_it_prints_as_a_table_without_its_buttons(opened):
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not find(opened, ".tools")[0].is_displayed()
        assert find(opened, ".claims thead")[0].is_displayed()
        assert find(opened, ".summary")[0].is_displayed()
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
