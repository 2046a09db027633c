"""The shipped models in the page, in a real browser: the numbers of torch, and what a reader sees."""

from __future__ import annotations

import json
import math
import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from playground_pages import LOAD
from playwright.sync_api import Error, Page
from torch.nn.utils.rnn import pad_sequence

from pgce_mini import GPT, ChainSum, GPTConfig, RewardShaping, shaped_cross_entropy
from pgce_mini.evaluation import token_entropy
from pgce_mini.playground.modules import join
from pgce_mini.runs import save_model
from pgce_mini.runs.saved import load_model
from pgce_mini.shipped import priors
from pgce_mini.site.model.assets import all_modules, model_files
from pgce_mini.tasks import Corpus, Task
from pgce_mini.tasks.base import EOS_ID, PAD_ID
from pgce_mini.tasks.chain_sum import ZERO_ID
from pgce_mini.teaching.reading import encode_prompt
from pgce_mini.theory import stationary_policy
from pgce_mini.training.config import PretrainConfig
from pgce_mini.training.optimizer import ADAM_BETAS, adamw, clip_gradient
from pgce_mini.training.pretrain import learning_rate

Visit = Callable[..., Page]

TESTED = """
import { TASKS } from "./of_models.js";
import { uniforms } from "./group_rl.js";
import { makeModel } from "./gpt.js";
import { draw, drawnFrom, expected, Reader } from "./reading.js";
import { readSafetensors } from "./safetensors.js";
import { bytePairTokens, taskTokens } from "./tokens.js";
import { adamW, gradients, learningRate, newModel } from "./training.js";
import { chainSumDocument } from "./chain_sum.js";

const buffer = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;

export function load(file) {
    const { tensors, header } = readSafetensors(buffer(file));
    const task = TASKS[header.corpus.name];
    const tokens = task.vocab ? taskTokens(task) : bytePairTokens(header.learnt.tokens);
    return { model: makeModel(header.model, tensors), task, tokens };
}
const greedy = { beta: 0, temperature: 0 };

/** Of each text: its ids, the logits after it, and what is written on greedily; one reader reads them all. */
export function readAll(file, texts, length) {
    const { model, task, tokens } = load(file);
    const reader = new Reader(model, task.longest);
    return texts.map((text) => {
        const ids = tokens.encode(text);
        const logits = reader.read(ids);
        const write = reader.writer();
        const written = [];
        let probs = expected(logits);
        while (written.length < length) {
            written.push(draw(drawnFrom(probs, greedy), 0));
            if (task.vocab && written.at(-1) === 1) break;
            if (written.length < length) probs = expected(write(written.at(-1)));
        }
        return { ids, logits: Array.from(logits), written };
    });
}
export const encodeAll = (file, texts) => [load(file).tokens.vocab, texts.map(load(file).tokens.encode)];
export const drawFrom = (states) => states.map(([probs, settings]) => drawnFrom(probs, settings));
export function slopes(file, documents, shapings) {
    return shapings.map((shaping) => {
        const { model } = load(file);
        const measured = gradients(model, documents, shaping);
        const grads = Object.entries(model.weights).map(([name, { grad }]) => [name, Array.from(grad)]);
        return { measured, grads: Object.fromEntries(grads) };
    });
}
export function trainOn(file, batches, shaping, settings, steps) {
    const { model } = load(file);
    const update = adamW(model, settings);
    return batches.map((documents, i) => {
        const { crossEntropy, entropy } = gradients(model, documents, shaping);
        update(learningRate(settings, i + 1, steps));
        return [crossEntropy, entropy];
    });
}
export function initial(seed) {
    const sum = (data, power) => data.reduce((total, value) => total + value ** power, 0);
    const moments = ([name, { data }]) => [name, [data.length, sum(data, 1), sum(data, 2)]];
    return Object.fromEntries(Object.entries(newModel(seed).weights).map(moments));
}
export function documents(count, settings) {
    return Array.from({ length: count }, (_, i) => {
        const numbers = uniforms(i, 32);
        return chainSumDocument(() => numbers.pop(), settings);
    });
}
"""


@pytest.fixture
def call(visit: Visit, tmp_path: Path) -> Callable[..., Any]:
    """call(name, *arguments) runs a function of TESTED in a page."""
    blank = tmp_path / "blank.html"
    blank.write_text("<!doctype html><title>blank</title>")
    page = visit(blank.as_uri())
    source = join(all_modules() | {"tested": TESTED}, "tested")
    page.evaluate(f"async (source) => {{ {LOAD} window.tested = module; }}", source)

    def run(name: str, *arguments: Any) -> Any:  # as JSON: Playwright is slow to carry long lists
        carried = [name, json.dumps(arguments)]
        return json.loads(
            page.evaluate("([name, args]) => JSON.stringify(tested[name](...JSON.parse(args)))", carried)
        )

    return run


def encoded(path: Path) -> str:
    return b64encode(path.read_bytes()).decode()


def prompts_of(corpus: Corpus, rng: random.Random, count: int) -> list[str]:
    """Beginnings of documents of different lengths."""
    documents = priors.heldout(corpus.name)
    room = corpus.max_document_length - 12
    found = []
    for document in rng.sample(documents, count):
        length = rng.randrange(1, min(len(document), room))
        found.append(corpus.decode(document[:length]))
    return found


def test_logits_are_those_of_torch_and_greedy_texts_identical(call: Callable[..., Any]) -> None:
    rng, read = random.Random(0), 0
    for name, path in model_files():
        model, corpus = load_model(path)
        count = 8 if name.startswith("policies") else 24
        texts = [text for text in prompts_of(corpus, rng, count) if corpus.encode(text)]
        ids = [corpus.encode(text) for text in texts]
        eos_id = EOS_ID if isinstance(corpus, Task) else PAD_ID
        written = model.generate(ids, 12, temperature=0, eos_id=eos_id)
        found = call("readAll", encoded(path), texts, 12)
        for i, seen in enumerate(found):
            assert seen["ids"] == ids[i]
            logits = model(torch.tensor([ids[i]]))[0, -1]
            assert (torch.tensor(seen["logits"]) - logits).abs().max() < 1e-3
            assert seen["written"] == written.completions[i][written.completion_mask[i]].tolist()
            read += 1
    assert read > 400


def test_text_becomes_the_same_tokens_as_in_python(call: Callable[..., Any]) -> None:
    rng = random.Random(1)
    pieces = [
        "If the expression", " don't", "we'll", "I'VE", "  ", "\n", "\n\n", "\t", "\r\n", "\r", "12345", "é", "ß",
        "日本語", "\U0001f600", "\u0085", "\ufeff", "\u2028", "\xa0", "\x1c", "²½", "x_y", "a=b**2", "...",
        "--------", " (see ", "İ", "\u0301", "'s", "’s", "\0",
    ]  # fmt: skip
    texts = ["".join(rng.choices(pieces, k=rng.randrange(0, 12))) for _ in range(300)]
    texts += ["".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(160, 0x2FFF)])) for _ in range(30))
              for _ in range(100)]  # fmt: skip
    files = dict(model_files())
    _, corpus = load_model(files["priors-text-ce"])
    vocab, ids = call("encodeAll", encoded(files["priors-text-ce"]), texts)
    assert vocab == list(corpus.vocab)
    assert ids == [corpus.encode(text) for text in texts]
    for task, texts in (
        ("chain-sum", ["3+1 + 4=", "12 ≡#", "", " 3\u2003+ 1 <eos>", "0+0=0"]),
        ("countdown", ["2 3 7->13:", "2-3 -> 5 : ;", "100*3=<pad>"]),
    ):
        _, corpus = load_model(files[f"priors-{task}-ce"])
        vocab, ids = call("encodeAll", encoded(files[f"priors-{task}-ce"]), texts)
        assert vocab == list(corpus.vocab)
        expected = [encode_prompt(corpus, text, 1) if text else [] for text in texts]
        assert ids == expected


def test_beta_gives_the_stationary_policy_and_temperature_its_power(call: Callable[..., Any]) -> None:
    model, corpus = priors.load("text", "ce")
    probs = model(torch.tensor([corpus.encode("If the expression")]))[0, -1].detach().double().softmax(-1)
    cases = [(beta, temperature) for beta in (-0.75, -0.25, 0.0, 0.5, 1.0) for temperature in (0.0, 0.5, 1.0, 1.5)]
    found = call("drawFrom", [[probs.tolist(), {"beta": b, "temperature": t}] for b, t in cases])
    for (beta, temperature), drawn in zip(cases, found, strict=True):
        end = stationary_policy(probs.numpy(), RewardShaping(beta=beta)) if beta else probs.numpy()
        wanted = torch.as_tensor(end)
        if temperature:
            wanted = (wanted.log() / temperature).softmax(-1)
        else:
            wanted = torch.nn.functional.one_hot(wanted.argmax(), len(wanted)).double()
        assert (torch.tensor(drawn, dtype=torch.float64) - wanted).abs().max() < 1e-9
    with pytest.raises(Error, match="a token that leads far enough takes all"):
        call("drawFrom", [[probs.tolist(), {"beta": -1, "temperature": 1}]])


GROUPED = GPTConfig(39, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                    head_dim=8, intermediate_size=40)  # fmt: skip
SHAPINGS = [RewardShaping(), RewardShaping(beta=-0.5), RewardShaping(beta=0.75),
            RewardShaping(lambda_head=0.1, lambda_tail=-0.1, top_k=5)]  # fmt: skip


@pytest.fixture
def fresh(tmp_path: Path) -> tuple[GPT, str]:
    """A model with heads that share keys and with norms that are not 1, and its file."""
    model = GPT(GROUPED, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(4)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            torch.nn.init.uniform_(parameter, 0.5, 1.5, generator=generator)
    save_model(tmp_path / "fresh.safetensors", model, ChainSum())
    return model, encoded(tmp_path / "fresh.safetensors")


def in_torch(model: GPT, documents: list[list[int]], shaping: RewardShaping) -> tuple[torch.Tensor, float, float]:
    """The mean shaped loss, and plain cross-entropy and entropy, of a batch."""
    rows = pad_sequence([torch.tensor(document) for document in documents], batch_first=True, padding_value=PAD_ID)
    keep = rows[:, 1:] != PAD_ID
    logits, target = model(rows[:, :-1], keep), rows[:, 1:][keep]
    cross_entropy = torch.nn.functional.cross_entropy(logits, target).item()
    return shaped_cross_entropy(logits, target, shaping), cross_entropy, token_entropy(logits).mean().item()


def test_gradients_are_those_of_torch(call: Callable[..., Any], fresh: tuple[GPT, str]) -> None:
    model, file = fresh
    documents = [ChainSum().document(0, i) for i in range(8)]
    found = call("slopes", file, documents, [asdict(shaping) for shaping in SHAPINGS])
    for shaping, seen in zip(SHAPINGS, found, strict=True):
        model.zero_grad()
        loss, *measured = in_torch(model, documents, shaping)
        loss.backward()
        assert [seen["measured"]["crossEntropy"], seen["measured"]["entropy"]] == pytest.approx(measured, abs=1e-4)
        assert seen["grads"].keys() == dict(model.named_parameters()).keys()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None
            gap = torch.tensor(seen["grads"][name]) - parameter.grad.flatten()
            assert gap.abs().max() < 1e-4 * parameter.grad.abs().max(), name


def test_a_training_in_the_page_is_the_training_in_torch(call: Callable[..., Any], fresh: tuple[GPT, str]) -> None:
    model, file = fresh
    shaping, config = RewardShaping(beta=0.5), PretrainConfig(steps=12)
    batches = [[ChainSum().document(0, 8 * step + i) for i in range(8)] for step in range(config.steps)]
    settings = asdict(config) | {"betas": ADAM_BETAS}
    names = ("lr", "final_lr_share", "weight_decay", "max_grad_norm", "betas")
    found = call("trainOn", file, batches, asdict(shaping), {name: settings[name] for name in names}, config.steps)
    optimizer = adamw(model, config.lr, config.weight_decay)
    for step, documents in enumerate(batches, 1):
        optimizer.param_groups[0]["lr"] = optimizer.param_groups[1]["lr"] = learning_rate(config, step)
        optimizer.zero_grad()
        loss, *measured = in_torch(model, documents, shaping)
        assert found[step - 1] == pytest.approx(measured, abs=1e-3)
        loss.backward()
        clip_gradient(model, config.max_grad_norm, step)
        optimizer.step()


def test_documents_and_first_weights_have_the_laws_of_the_library(call: Callable[..., Any]) -> None:
    task = ChainSum()
    documents = call("documents", 2000, asdict(task))
    ours = [task.document(0, i) for i in range(2000)]
    reason = task.encode("≡")[0]
    laws: list[Callable[[list[int]], bool]] = [
        lambda d: d[15] == reason,
        lambda d: d[15] != reason and d[16] >= ZERO_ID,  # reasons after "="
        lambda d: d[-2] - ZERO_ID == sum(d[0:16:2]) - 8 * ZERO_ID,  # ends with the right answer
        lambda d: d[16] == d[0],  # begins with the right total
    ]
    for law in laws:
        assert fmean(map(law, documents)) == pytest.approx(fmean(map(law, ours)), abs=0.04)
    assert all(d[-1] == EOS_ID and len(d) in (19, 27) for d in documents)
    model, _ = priors.load("chain-sum", "ce")
    weights = call("initial", 0)
    assert {name: size for name, (size, *_) in weights.items()} == {
        name: parameter.numel() for name, parameter in model.named_parameters()
    }
    norms = [name for name, parameter in model.named_parameters() if parameter.dim() == 1]
    assert all(total == squares == size for size, total, squares in map(weights.get, norms))
    size, total, squares = map(sum, zip(*(weights[name] for name in weights.keys() - set(norms)), strict=True))
    assert total / size == pytest.approx(0, abs=0.002)
    assert math.sqrt(squares / size) == pytest.approx(1 / 8, abs=0.002)
