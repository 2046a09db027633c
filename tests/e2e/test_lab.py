"""The notebooks in a real JupyterLab: every cell runs, and a hand on a slider changes the picture beside it.

The notebooks lie in a copy, so that what Lab saves stays out of the repository; nothing but localhost is asked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from server import free_port, started

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
WITH_PLAYGROUND = "00_start_here"
WITH_SLIDERS = "04_where_training_ends"  # a quick one: it trains nothing long
PATIENCE = 240_000  # ms: a kernel on a busy machine
SETTINGS = {  # of Lab's own: every cell is in the page, and no question about news
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}
NOT_RUN = ".jp-CodeCell .jp-InputPrompt:text-matches('^\\\\[[* ]\\\\]')"  # not asked to run, waiting, or running
FAILED = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]'
COMPLAINED = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]'
PICTURE = "e => JSON.stringify(e.data.map(t => [Array.from(t.x ?? []), Array.from(t.y ?? [])]))"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab over a copy of the notebooks; this checkout is the package that they import."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".*", "solutions"))
    for file in (folder / "notebooks").glob("*.ipynb"):  # a cell that was run here has a number, others have none
        notebook = json.loads(file.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell.update({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {})
        file.write_text(json.dumps(notebook), encoding="utf-8")
    for name, settings in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    port = free_port()
    log = folder / "log.txt"
    home = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    environment = {
        **os.environ, **home, "PYTHONPATH": str(ROOT), "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }  # fmt: skip
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", f"--port={port}", "--port-retries=0",
        "--ip=localhost", "--allow-root", "--IdentityProvider.token=", "--ServerApp.password=",
        "--ServerApp.disable_check_xsrf=True",  # so that this test can end kernels
        str(folder / "notebooks"),
    ]  # fmt: skip
    with started(command, log, port, "/api/status", environment):
        yield f"http://localhost:{port}"


@pytest.fixture
def run_all(lab: str, visit: Callable[..., Page]) -> Iterator[Callable[[str], Page]]:
    """run_all(name) opens a notebook, runs every cell and waits until all have ended well."""

    def run(name: str) -> Page:
        page = visit(f"{lab}/lab/tree/{name}.ipynb?reset", 1280)
        page.set_default_timeout(PATIENCE)
        expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=PATIENCE)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        expect(page.locator(NOT_RUN)).to_have_count(0, timeout=PATIENCE)
        for bad in (FAILED, COMPLAINED):
            assert page.locator(bad).all_inner_texts() == []
        prompts = page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        assert [prompt for prompt in prompts if not re.fullmatch(r"\[\d+\]:", prompt)] == []
        return page

    yield run
    for kernel in json.load(urllib.request.urlopen(f"{lab}/api/sessions", timeout=30)):
        request = urllib.request.Request(f"{lab}/api/sessions/{kernel['id']}", method="DELETE")
        urllib.request.urlopen(request, timeout=60).close()


@pytest.mark.timeout(600)
def test_a_key_on_a_slider_redraws_the_picture_under_it(run_all: Callable[[str], Page]) -> None:
    page = run_all(WITH_SLIDERS)
    box = page.locator(".widget-vbox", has=page.locator(".js-plotly-plot")).first
    box.scroll_into_view_if_needed()
    picture = box.locator(".js-plotly-plot")
    expect(picture.locator(".main-svg").first).to_be_visible()
    before = picture.evaluate(PICTURE)
    handle = box.get_by_role("slider").first
    value = handle.get_attribute("aria-valuenow")
    handle.press("ArrowRight")
    expect(handle).not_to_have_attribute("aria-valuenow", value or "")
    page.wait_for_function(f"([e, before]) => ({PICTURE})(e) !== before", arg=[picture.element_handle(), before])


@pytest.mark.timeout(600)
def test_a_key_on_the_playground_moves_its_numbers(run_all: Callable[[str], Page]) -> None:
    page = run_all(WITH_PLAYGROUND)
    beta = page.get_by_role("slider", name="β", exact=True).first
    beta.scroll_into_view_if_needed()
    takeaway = page.locator(".takeaway").first
    said = takeaway.inner_text()
    before = float(beta.input_value())
    for _ in range(4):
        beta.press("ArrowRight")
    expect(takeaway).not_to_have_text(said)
    assert float(beta.input_value()) > before
