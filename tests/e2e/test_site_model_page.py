"""The page with the shipped models, as a reader meets it: from a disk, under a strict Content-Security-Policy."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from pages import SUM
from playground_pages import slider, takeaway
from playwright.sync_api import Browser, Locator, Page, expect

from pgce_mini import PAPER_ARMS, RewardShaping
from pgce_mini.evaluation import token_entropy
from pgce_mini.shipped import policies, priors
from pgce_mini.site.model import fragment, write_model_page_assets
from pgce_mini.theory import stationary_policy

Open = Callable[..., Page]
POLICY = "default-src 'none'; script-src 'self' file:; worker-src {workers}"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Tiny GPTs</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}"></head>
<body><main><h1>Tiny GPTs</h1>{fragment}</main></body></html>"""
EASY = "0 + 0 + 0 + 1 + 0 + 0 + 0 + 2 ="
ARMS = list(PAPER_ARMS)
# Notes what goes to the worker, `sent`, and comes from it, `heard`; questions wait in `held` where that is a list.
WATCH = """() => {
    Object.assign(window, { sent: [], heard: [], held: null, worker: null });
    const send = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (message, ...rest) {
        if (worker !== this) this.addEventListener("message", ({ data }) => heard.push(data.kind));
        worker = this;
        sent.push(message.kind);
        const go = () => send.call(this, message, ...rest);
        if (held && message.kind === "ask") held.push(go);
        else go();
    };
}"""
HOLD = "() => { held = []; sent.length = heard.length = 0; }"
RELEASE = "() => { const late = held; held = null; for (const go of late) go(); }"
NEXT_FRAME = "() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a site")  # a space, as folders on a disk have
    write_model_page_assets(folder / "models")
    for name, workers in (("index", "blob:"), ("no-worker", "'none'")):
        page = PAGE.format(policy=POLICY.format(workers=workers), fragment=fragment("models/"))
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return folder


@pytest.fixture
def models(visit: Open, site: Path) -> Open:
    """models() opens the page; all models have read its first prompt and gone on."""

    def open_page(**options: object) -> Page:
        page = visit((site / "index.html").as_uri(), **options)
        rested(page)
        return page

    return open_page


def rested(page: Page) -> None:
    """What was asked is answered, and every text has ended."""
    expect(page.locator(".pgce-tiny-gpts")).to_have_attribute("aria-busy", "false")


def choose(page: Page, name: str) -> None:
    page.locator(".pill", has_text=re.compile(f"^{name}$")).click()
    rested(page)


def column(table: Locator, place: int) -> list[str]:
    return table.locator(f"tbody tr > :nth-child({place})").all_text_contents()


def in_torch(task: str, text: str, beta: float = 0.0, shipped: ModuleType = priors) -> dict[str, torch.Tensor]:
    """arm -> what the model, or its stationary policy, gives each token of the vocabulary."""
    found = {}
    for arm in ARMS:
        model, corpus = shipped.load(task, arm)
        probs = model(torch.tensor([corpus.encode(text)]))[0, -1].detach().double().softmax(-1)
        end = stationary_policy(probs.numpy(), RewardShaping(beta=beta)) if beta else probs
        found[arm] = torch.as_tensor(end)
    return found


def assert_shows(page: Page, task: str, expected: dict[str, torch.Tensor]) -> None:
    """The page's tables are of these distributions."""
    vocab = priors.load(task, "ce")[1].vocab
    numbers = page.locator(".numbers table")
    names = {"end": "<eos>"}
    ids = [vocab.index(names.get(name, name.replace("␣", " ").replace("↵", "\n"))) for name in column(numbers, 1)]
    assert len(set(ids)) == 10
    for place, arm in enumerate(ARMS):
        shown = [float(text) for text in column(numbers, place + 2)]
        assert shown == pytest.approx(expected[arm][ids].tolist(), abs=2e-4)
    entropies = [token_entropy(probs.log().float()[None]).item() for probs in expected.values()]
    seen = [float(text) for text in column(page.locator(".arms table"), 3)]
    assert seen == pytest.approx(entropies, abs=0.006)
    sharp, flat = ARMS[seen.index(min(seen))], ARMS[seen.index(max(seen))]
    expect(takeaway(page).first).to_contain_text(f"{sharp} is surest")
    expect(takeaway(page).first).to_contain_text(f"{flat} is least sure")


def test_the_page_shows_what_torch_computes_and_follows_prompt_and_beta(
    models: Open, assert_accessible: Callable[[Page], None]
) -> None:
    page = models()
    assert len(page.workers) == 1
    assert column(page.locator(".arms table"), 1) == ARMS
    page.get_by_text("The picture as a table").click()
    assert_shows(page, "chain-sum", in_torch("chain-sum", SUM))
    written = page.locator(".written").all_text_contents()
    assert len(written) == 10
    assert all(text.endswith(" end") or len(text.split()) == 11 for text in written)
    assert_accessible(page)

    box = page.get_by_label("Prompt", exact=True)
    box.fill(f"{SUM} 3 four")
    expect(page.get_by_role("alert")).to_contain_text("“four” is no token of chain-sum: write a prompt such as")
    expect(takeaway(page).first).to_be_hidden()  # it is of another prompt
    page.get_by_role("button", name="an easy one").click()
    rested(page)
    expect(page.get_by_role("alert")).to_have_text("")
    assert_shows(page, "chain-sum", in_torch("chain-sum", EASY))
    texts = page.locator(".written").all_text_contents()
    page.get_by_role("button", name="Other draws").click()
    rested(page)
    others = page.locator(".written").all_text_contents()
    assert others[::2] != texts[1::2]  # the first text of each model is not its old second one
    box.fill(SUM.replace(" ", ""))  # its spaces may be left out
    rested(page)
    expect(page.get_by_role("alert")).to_have_text("")
    page.get_by_role("button", name="an easy one").click()
    rested(page)

    page.evaluate(WATCH)
    page.evaluate(HOLD)  # the models are slow now
    for _ in range(10):
        slider(page, "β").first.press("ArrowRight")
        page.evaluate(NEXT_FRAME)
    page.get_by_label("Logarithmic").check()
    expect(takeaway(page).first).to_have_text(
        re.compile("^After this prompt [a-z-]+ is surest")
    )  # β is still 0 there
    page.get_by_label("Logarithmic").uncheck()
    page.evaluate(RELEASE)
    rested(page)
    assert page.evaluate("() => sent") == ["ask", "ask"]  # the first, and the newest of those that waited
    expect(takeaway(page).first).to_contain_text("with β = +0.50")
    assert_shows(page, "chain-sum", in_torch("chain-sum", EASY, beta=0.5))
    expect(page.locator(".bars .own")).to_have_count(30)  # six tokens of five models, as they are by themselves
    slider(page, "Temperature").press("Home")
    rested(page)
    assert set(column(page.locator(".arms table"), 3)) == {"0.00"}
    for _ in range(20):
        slider(page, "Temperature").press("ArrowRight")
    choose(page, "after RL")
    assert_shows(page, "chain-sum", in_torch("chain-sum", EASY, beta=0.5, shipped=policies))
    choose(page, "countdown")
    expect(page.get_by_label("Prompt", exact=True)).to_have_value("2 3 7 -> 13 :")
    assert_shows(page, "countdown", in_torch("countdown", "2 3 7 -> 13 :", beta=0.5, shipped=policies))


def test_without_a_worker_the_page_computes_itself(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((site / "no-worker.html").as_uri())
    rested(page)
    assert page.workers == []
    page.get_by_text("The picture as a table").click()
    assert_shows(page, "chain-sum", in_torch("chain-sum", SUM))
    page.close()
    assert [error for error in errors if "worker-src 'none'" not in error] == []


def test_on_a_phone_text_is_read_and_a_file_that_is_missing_can_be_asked_for_again(
    models: Open, site: Path, assert_accessible: Callable[[Page], None]
) -> None:
    page = models(width=360, color_scheme="dark", has_touch=True, is_mobile=True)
    file = site / "models" / "priors-text-precision.js"
    content = file.read_bytes()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(Path(request.url).stem))
    page.evaluate(WATCH)
    page.evaluate(HOLD)
    page.get_by_role("button", name="an easy one").tap()
    page.evaluate(NEXT_FRAME)
    page.get_by_label("Prompt", exact=True).fill("four")
    page.evaluate(RELEASE)
    expect(page.get_by_role("alert")).to_contain_text("“four” is no token")
    page.evaluate(HOLD)
    page.get_by_role("button", name="an easy one").tap()
    page.evaluate(NEXT_FRAME)
    file.write_text("// a page of the host in its place")
    page.locator(".pill", has_text="text").tap()
    expect(page.locator(".loading")).to_contain_text("priors-text-precision.js did not arrive")
    expect(page.get_by_role("alert")).to_have_text("")  # what was refused was of another task
    page.evaluate(RELEASE)  # a late answer about sums
    page.wait_for_function("() => heard.includes('next')")
    rested(page)
    expect(takeaway(page).first).to_be_hidden()
    expect(page.locator(".written").first).to_be_hidden()
    assert_accessible(page)
    file.write_text(content.decode().replace('= "', '= "?'))
    page.get_by_role("button", name="Try again").tap()
    expect(page.locator(".loading")).to_contain_text("priors-text-precision.js did not arrive whole")
    file.write_bytes(content)
    page.get_by_role("button", name="Try again").tap()
    expect(page.locator(".loading")).to_be_hidden()
    rested(page)
    assert sorted(asked) == sorted([f"priors-text-{arm}" for arm in ARMS] + ["priors-text-precision"] * 2)
    page.get_by_text("The picture as a table").tap()
    assert_shows(page, "text", in_torch("text", "If the expression"))
    assert all(page.locator(".written").nth(i).locator("span").count() == 40 for i in range(10))
    page.get_by_label("Prompt", exact=True).fill("日本")
    expect(page.get_by_role("alert")).to_have_text(re.compile("^Not in the text .* 日 本 — to them, bytes"))
    page.get_by_label("Write the probability").tap()
    rested(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert_accessible(page)


def test_a_model_trained_in_the_page_joins_the_others(
    models: Open, assert_accessible: Callable[[Page], None]
) -> None:
    page = models()
    train = page.get_by_role("region", name="Train one yourself")
    train.locator(".pill", has_text="300").click()
    page.evaluate(WATCH)
    train.get_by_role("button", name="Train").click()
    train.get_by_role("button", name="Stop").click()
    expect(train.locator(".takeaway")).to_contain_text(re.compile(r"After \d+ steps? with β = \+0\.50"))
    page.get_by_role("button", name="an easy one").click()
    train.get_by_role("button", name="Train").click()
    expect(train.locator(".note").last).to_contain_text(re.compile("Step (1[2-9]|[2-9].) of 300"), timeout=120_000)
    page.evaluate("() => { heard.length = 0; }")
    page.get_by_role("button", name="a sum", exact=True).click()
    rested(page)
    heard = page.evaluate("() => heard")
    assert "step" not in heard[heard.index("next") : heard.index("written")]  # training waits for the texts
    train.get_by_role("button", name="Stop").click()
    expect(train.locator(".note").last).to_contain_text("stands beside the five above")
    said = re.compile(
        r"After (\d+) steps with β = \+0\.50: cross-entropy (\d\.\d\d), entropy \d\.\d\d nats a token\."
    )
    steps, cross_entropy = said.fullmatch(train.locator(".takeaway").text_content() or "").groups()  # type: ignore[union-attr]
    assert 12 <= int(steps) < 300
    assert float(cross_entropy) < 3.6  # it knew nothing at log 39 = 3.66
    points = train.locator(".stage path.run-line:not(.older)").first.get_attribute("d") or ""
    assert points.count("L") == int(steps) - 1
    rested(page)
    assert column(page.locator(".arms table"), 1) == [*ARMS, "yours"]
    assert column(page.locator(".arms table"), 2)[-1] == "β = +0.50"
    expect(page.get_by_role("heading", name="yours", exact=True)).to_be_visible()
    assert_accessible(page)
