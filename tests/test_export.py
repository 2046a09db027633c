"""What goes out to transformers is the same model with the same tokens, and comes back the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from command import pgce
from disk import everything_in
from tiny import SHAPE, TASK, new_model

from pgce_mini.gpt import GPT
from pgce_mini.integrations.export import RECORD, from_transformers, to_transformers
from pgce_mini.integrations.tokenizer import tokenizer_of
from pgce_mini.runs import RunError, load_model, save_model, write_json
from pgce_mini.shipped import policies, priors
from pgce_mini.tasks import EOS_ID, PAD_ID, Corpus, Countdown, Task, Text

BOOK = "It was “the best” of times; c'était <eos> l'été… 漢字\tand 😀 <pad>\n\n  two  spaces\u2028\0end\n"
NAMES = ["chain-sum", "countdown", "byte pairs", "characters"]
SHIPPED = [
    *(priors.path(task, "ce") for task in priors.SETTINGS),
    *(policies.path(task, "precision") for task in policies.SETTINGS),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of each corpus, and in out/ its export; the text is gone."""
    folder = tmp_path_factory.mktemp("runs")
    book = folder / "book.txt"
    book.write_text(BOOK * 40, encoding="utf-8", newline="")
    corpora = [
        TASK,
        Countdown(),
        Text(path=str(book), vocab_size=400, context_length=16),
        Text(path=str(book), tokenizer="char", context_length=16),
    ]
    for name, corpus in zip(NAMES, corpora, strict=True):
        model = GPT(SHAPE.config(corpus), torch.Generator().manual_seed(3))
        save_model(folder / name / "model.safetensors", model, corpus)
    book.unlink()
    for name in NAMES:
        to_transformers(*load_model(folder / name), folder / "out" / name)
    return folder


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def texts_of(corpus: Corpus) -> list[str]:
    if isinstance(corpus, Task):
        return [corpus.decode(corpus.document(1, index)) for index in range(100)]
    return [BOOK.replace("<eos>", "").replace("<pad>", ""), "é", "\r\n two\r  ", "", "漢" * 9, "< eos>"]


def test_the_tokenizer_gives_the_ids_and_the_text_of_the_corpus(runs: Path, name: str) -> None:
    from transformers import AutoTokenizer

    tokenizer, (_, corpus) = AutoTokenizer.from_pretrained(runs / "out" / name), load_model(runs / name)
    assert len(tokenizer) == len(corpus.vocab)
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id) == (PAD_ID, EOS_ID)
    for text in texts_of(corpus):
        ids = corpus.encode(text)
        assert tokenizer(text).input_ids == ids, text
        assert tokenizer(text + tokenizer.eos_token).input_ids == [*ids, EOS_ID]
        assert tokenizer.decode([*ids, EOS_ID, PAD_ID], skip_special_tokens=True) == corpus.decode(ids)


def test_a_text_that_spells_a_special_token_can_be_read_as_letters(runs: Path) -> None:
    from transformers import AutoTokenizer

    for name in ("byte pairs", "characters"):
        tokenizer, (_, corpus) = AutoTokenizer.from_pretrained(runs / "out" / name), load_model(runs / name)
        assert tokenizer(BOOK, split_special_tokens=True).input_ids == corpus.encode(BOOK)
        assert tokenizer.decode(corpus.encode(BOOK)) == BOOK


def test_byte_pairs_of_a_text_full_of_special_tokens_are_not_those_tokens(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("<eos><pad> " * 500)
    corpus = Text(path=str(tmp_path / "book.txt"), vocab_size=300, context_length=4)
    tokenizer = tokenizer_of(corpus)
    assert tokenizer.get_vocab_size() == len(corpus.vocab)
    tokenizer.encode_special_tokens = True  # what spells them is text
    assert tokenizer.encode("<eos><pad> <eos>").ids == corpus.encode("<eos><pad> <eos>")


def test_unknown_text_is_refused_and_not_read_as_something_else(runs: Path) -> None:
    from tokenizers import Tokenizer

    for name, text in (("chain-sum", "1 + x"), ("characters", "Z")):
        with pytest.raises(Exception, match="UNK"):
            Tokenizer.from_file(str(runs / "out" / name / "tokenizer.json")).encode(text)


def test_greedy_text_and_the_loss_of_documents_are_those_of_transformers(runs: Path, name: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    theirs = AutoModelForCausalLM.from_pretrained(runs / "out" / name)
    tokenizer = AutoTokenizer.from_pretrained(runs / "out" / name)
    model, corpus = load_model(runs / name)
    for text in texts_of(corpus)[:3]:
        prompt = corpus.encode(text)[:8]
        ours = model.generate([prompt], 12, temperature=0).completions[0].tolist()
        batch = torch.tensor([prompt])
        written = theirs.generate(batch, attention_mask=torch.ones_like(batch), do_sample=False, max_new_tokens=12)
        assert written[0, len(prompt) :].tolist() == ours
        assert tokenizer.decode(written[0], skip_special_tokens=True) == corpus.decode([*prompt, *ours])
        ids = torch.tensor([corpus.encode(text)[:17]])
        if ids.shape[1] > 1:
            with torch.no_grad():
                loss = theirs(ids, labels=ids).loss
                ours_loss = torch.nn.functional.cross_entropy(model(ids[:, :-1])[0], ids[0, 1:])
            torch.testing.assert_close(loss, ours_loss, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_models_that_come_with_the_package_go_out_and_back(file: Path, tmp_path: Path) -> None:
    from tokenizers import Tokenizer

    model, corpus = load_model(file)
    to_transformers(model, corpus, tmp_path / "out")
    back, same = load_model(from_transformers(tmp_path / "out", tmp_path / "run").path)
    assert same.fitted_state() == corpus.fitted_state()
    assert all(torch.equal(weight, model.state_dict()[key]) for key, weight in back.state_dict().items())
    tokenizer = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json"))
    heldout = priors.heldout(corpus.name)[:20]
    for text in map(corpus.decode, heldout):
        assert tokenizer.encode(text).ids == corpus.encode(text)


def test_generation_ends_at_eos_and_a_pipeline_writes_the_answer(tmp_path: Path) -> None:
    from transformers import pipeline

    model, task = policies.load("chain-sum", "precision")
    assert isinstance(task, Task)
    to_transformers(model, task, tmp_path / "out")
    problems = [task.problem(5, index) for index in range(20)]
    ours = model.generate([problem.prompt for problem in problems], task.max_completion_length, temperature=0)
    write = pipeline("text-generation", model=str(tmp_path / "out"))
    prompts = [task.decode(problem.prompt) for problem in problems]
    answers = write(prompts, return_full_text=False, do_sample=False)  # a pipeline samples by default
    assert [answer["generated_text"] for (answer,) in answers] == [task.decode(row) for row in ours.completions]


def test_what_went_out_comes_back_byte_for_byte(runs: Path, name: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    AutoModelForCausalLM.from_pretrained(runs / "out" / name).save_pretrained(tmp_path / "saved")
    AutoTokenizer.from_pretrained(runs / "out" / name).save_pretrained(tmp_path / "saved")
    for folder in (runs / "out" / name, tmp_path / "saved"):
        run = from_transformers(folder, tmp_path / "back" / folder.name)
        assert run.model_path.read_bytes() == (runs / name / "model.safetensors").read_bytes()
        assert run.config()["kind"] == "import"


def test_training_in_half_precision_comes_back_in_single(runs: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(runs / "out/chain-sum", dtype=torch.bfloat16)
    with torch.no_grad():
        theirs.model.norm.weight += 1
    theirs.save_pretrained(tmp_path / "saved")  # without the tokenizer
    model, corpus = load_model(from_transformers(tmp_path / "saved", tmp_path / "run").path)
    assert corpus == TASK
    assert torch.equal(model.model.norm.weight, theirs.model.norm.weight.float())


def test_an_imported_run_is_evaluated_sampled_and_trained_further(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pgce("export", runs / "chain-sum", tmp_path / "out", "--json")
    assert json.loads(capsys.readouterr().out)["corpus"] == "chain-sum"
    pgce("import", tmp_path / "out", tmp_path / "run")
    assert "pgce rl --prior" in capsys.readouterr().out
    pgce("evaluate", tmp_path / "run", "--quiet", "--problems", "4", "--samples", "4", "--documents", "4")
    pgce("sample", tmp_path / "run", "--prompts", "1", "--samples", "1")
    small = ["--steps", "1", "--prompts-per-step", "2", "--num-generations", "2", "--quiet"]
    pgce("rl", "--prior", tmp_path / "run", "--run-dir", tmp_path / "policy", *small)
    pgce("compare", tmp_path / "run")
    pgce("import", runs / "out/characters", tmp_path / "text")
    pgce("sample", tmp_path / "text", "--prompt", "It was", "--samples", "1", "--max-completion-length", "9")


def test_a_folder_with_something_in_it_is_refused_and_left_alone(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine")
    for target in (tmp_path / "full", tmp_path / "full/notes.txt"):
        pgce("export", runs / "chain-sum", target, code=2)
        pgce("import", runs / "out/chain-sum", target, code=2)
        assert "choose a new folder" in capsys.readouterr().err
    assert everything_in(tmp_path) == {"full/notes.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    to_transformers(new_model(), TASK, tmp_path / "link")
    assert (tmp_path / "empty/config.json").exists()


def test_a_write_that_fails_leaves_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pgce_mini.integrations.export.tokenizer_of", full)
    with pytest.raises(OSError, match="No space"):
        to_transformers(new_model(), TASK, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    monkeypatch.undo()
    to_transformers(new_model(), TASK, tmp_path / "out")
    monkeypatch.setattr("pgce_mini.atomic.os.fsync", full)  # of model.safetensors
    with pytest.raises(OSError, match="No space"):
        to_transformers(new_model(), TASK, tmp_path / "again")
    assert not list((tmp_path / "again").iterdir())
    with pytest.raises(ValueError, match="do not belong together"):
        to_transformers(new_model(), Countdown(), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def edit(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(config))

    return change


def more_tokens(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<think>"])
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def another_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer.json"
    file.write_text(file.read_text().replace('"#"', '"?"'))


def adapter_alone(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")


def run_of_ours(folder: Path) -> None:
    write_json(folder / "config.json", {"kind": "pretrain", "config": {}})


def pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (edit(**{RECORD: None}), "names no corpus of pgce_mini"),
        (edit(**{RECORD: {"corpus": {"name": "chess"}}}), "name must be one of"),
        (edit(**{RECORD: {"learnt": {}}}), "does not say which corpus"),
        (edit(**{RECORD: {"corpus": "chain-sum"}}), "does not say which corpus"),
        (adapter_alone, "holds an adapter: merge it"),
        (run_of_ours, "is a run already, of pretrain"),
        (edit(**{RECORD: {"corpus": {"name": "countdown"}, "vocabulary": "sha256:0"}}), "another vocabulary"),
        (edit(model_type="llama"), "model_type"),
        (edit(num_hidden_layers=3), "do not fit"),
        (more_tokens, "has other tokens"),
        (another_tokenizer, "has other tokens"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "is damaged"),
        (lambda folder: (folder / "config.json").unlink(), "is missing"),
        (lambda folder: (folder / "config.json").write_text("[]"), "must hold an object"),
        (pickle, "is a pickle"),
        (lambda folder: (folder / "model.safetensors").unlink(), "is missing"),
        (lambda folder: shutil.rmtree(folder), "is missing"),
    ],
)
def test_a_foreign_or_damaged_folder_is_refused_in_one_sentence(
    damage: Callable[[Path], object], sentence: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "out/chain-sum", tmp_path / "out")
    damage(tmp_path / "out")
    capsys.readouterr()
    pgce("import", tmp_path / "out", tmp_path / "run", code=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pgce: ")
    assert sentence in line
    assert not (tmp_path / "run").exists()


def test_an_unfinished_run_is_not_exported(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.json").write_text("{}")
    with pytest.raises(RunError, match="not finished"):
        to_transformers(*load_model(tmp_path / "run"), tmp_path / "out")
