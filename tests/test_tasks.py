"""What must be true of every corpus and every verifier."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pgce_mini.tasks import TASKS, ChainSum, Countdown, Text, task_from_dict, task_to_dict
from pgce_mini.tasks.base import EOS_ID, PAD_ID, SPECIAL_TOKENS, Corpus, Split, Task

CORPORA: list[Corpus] = [
    ChainSum(),
    ChainSum(num_operands=5, max_operand=3, slip_rate=0.5),
    Countdown(),
    Countdown(count=6, max_number=50, max_attempts=4, slip_rate=0.5),
    Countdown(count=2),
    Text(context_length=64),
    Text(tokenizer="char", context_length=16),
]
VERIFIABLE = [corpus for corpus in CORPORA if isinstance(corpus, Task)]
SPLITS: tuple[Split, ...] = ("train", "heldout")

every_corpus = pytest.mark.parametrize("corpus", CORPORA, ids=repr)
every_task = pytest.mark.parametrize("task", VERIFIABLE, ids=repr)


def first_documents() -> str:
    """The beginning of every corpus as JSON; a test runs it in another process."""
    corpora = [ChainSum(), Countdown(), Text(), Text(tokenizer="char")]
    documents = [[c.document(7, i, split) for i in range(20)] for c, split in product(corpora, SPLITS)]
    tasks = [corpus for corpus in corpora if isinstance(corpus, Task)]
    problems = [[task.problem(7, i, "heldout").prompt for i in range(20)] for task in tasks]
    return json.dumps([documents, problems, [c.vocab for c in corpora]])


def test_every_task_is_tested() -> None:
    assert {type(corpus) for corpus in CORPORA} == set(TASKS.values())


@every_corpus
def test_vocabulary_begins_with_pad_and_eos_and_repeats_nothing(corpus: Corpus) -> None:
    assert (corpus.vocab[PAD_ID], corpus.vocab[EOS_ID]) == SPECIAL_TOKENS
    assert len(set(corpus.vocab)) == len(corpus.vocab)


@every_corpus
@pytest.mark.parametrize("split", SPLITS)
def test_documents_are_ids_of_the_vocabulary_and_fit(corpus: Corpus, split: Split) -> None:
    documents = [corpus.document(1, index, split) for index in range(500)]
    assert max(map(len, documents)) == corpus.max_document_length
    for document in documents:
        assert all(type(i) is int and PAD_ID < i < len(corpus.vocab) for i in document)


@every_corpus
def test_documents_depend_on_seed_index_and_split_alone(corpus: Corpus) -> None:
    again = task_from_dict(task_to_dict(corpus))
    backwards = {index: again.document(3, index) for index in reversed(range(50))}
    documents = [corpus.document(3, index) for index in range(50)]
    assert documents == [backwards[index] for index in range(50)]
    assert documents != [corpus.document(4, index) for index in range(50)]
    assert documents != [corpus.document(3, index, "heldout") for index in range(50)]
    assert len(set(map(tuple, documents))) > 40


def test_another_process_draws_the_same() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import test_tasks; print(test_tasks.first_documents())"],
        cwd=Path(__file__).parent,
        env=os.environ | {"PYTHONHASHSEED": "1", "RAYON_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == first_documents()


@every_corpus
def test_unknown_split_is_refused(corpus: Corpus) -> None:
    unknown: Any = "test"
    with pytest.raises(ValueError, match="split must be one of train, heldout, got 'test'"):
        corpus.document(0, 0, unknown)


@every_corpus
def test_decode_leaves_out_pad_and_eos_and_refuses_strange_ids(corpus: Corpus) -> None:
    document = corpus.document(0, 0)
    assert corpus.decode([PAD_ID, *document, EOS_ID, PAD_ID]) == corpus.decode(document)
    assert corpus.decode([]) == ""
    for strange in (-1, len(corpus.vocab)):
        with pytest.raises(ValueError, match=f"got {strange}"):
            corpus.decode([*document, strange])


@every_corpus
def test_settings_survive_json(corpus: Corpus) -> None:
    assert task_from_dict(json.loads(json.dumps(task_to_dict(corpus)))) == corpus


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "chess"}, "name must be one of chain-sum, countdown, text, got 'chess'"),
        ({"num_operands": 3}, "name must be one of .*, got None"),
        ({"name": "countdown", "num_operands": 3}, "num_operands is not a setting of countdown, which has count"),
        ({"name": "countdown", "count": 3.0}, "count must be a whole number"),
    ],
)
def test_unknown_names_and_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        task_from_dict(settings)


# --- Verifiable tasks ------------------------------------------------------------------------------------


@every_task
def test_documents_decode_and_encode_back(task: Task) -> None:
    for index in range(200):
        document = task.document(0, index)
        assert document.index(EOS_ID) == len(document) - 1
        assert task.encode(task.decode(document)) == document[:-1]
    with pytest.raises(ValueError, match="text holds '３', which is not a token of"):
        task.encode("3 ３")


@every_task
def test_no_problem_is_in_both_splits_whether_in_documents_or_for_rl(task: Task) -> None:
    equals = str.maketrans("≡", "=")
    seen = {}
    for split in SPLITS:
        problems = [task.problem(0, index, split) for index in range(800)]
        length = len(problems[0].prompt)
        documents = [task.document(0, index, split)[:length] for index in range(800)]
        seen[split] = {task.decode(ids).translate(equals) for ids in (*documents, *(p.prompt for p in problems))}
    assert not seen["train"] & seen["heldout"]


@every_task
def test_reference_earns_1_and_fits(task: Task) -> None:
    for index in range(50):
        problem = task.problem(5, index)
        reference = tuple(task.reference(problem))  # which no verifier can change
        assert task.reward(problem, reference) == 1.0
        assert task.answer(problem, reference) == str(problem.target)
        assert len(reference) <= task.max_completion_length
        assert len(problem.prompt) + task.max_completion_length == task.max_document_length


@every_task
def test_only_what_comes_before_the_first_eos_is_judged(task: Task) -> None:
    problem = task.problem(0, 0)
    reference = task.reference(problem)
    for rest in ([PAD_ID] * 5, [EOS_ID], reference, [10**9], [-1]):
        assert task.reward(problem, reference + rest) == 1.0
        assert task.reward(problem, [EOS_ID, *rest, *reference]) == 0.0


@every_task
def test_unfinished_and_empty_completions_earn_0(task: Task) -> None:
    problem = task.problem(0, 0)
    reference = task.reference(problem)
    for completion in ([], [EOS_ID], *(reference[:end] for end in range(len(reference)))):
        assert task.reward(problem, completion) == 0.0
        assert task.answer(problem, completion) is None
    for end in range(len(reference) - 1):
        assert task.reward(problem, [*reference[:end], EOS_ID]) == 0.0


@every_task
def test_junk_around_or_inside_the_reference_earns_0(task: Task) -> None:
    problem = task.problem(0, 2)
    *body, eos = task.reference(problem)
    values = {i for i, token in enumerate(task.vocab) if token.isdecimal()}
    for junk in {PAD_ID, -1, -len(task.vocab), len(task.vocab), 10**9} | set(range(2, len(task.vocab))) - values:
        for place in range(len(body) + 1):
            assert task.reward(problem, [*body[:place], junk, *body[place:], eos]) == 0.0
            if place < len(body) and body[place] in values:
                assert task.reward(problem, [*body[:place], junk, *body[place + 1 :], eos]) == 0.0


@every_task
def test_listing_answers_or_repeating_the_reference_earns_0(task: Task) -> None:
    problem = task.problem(0, 3)
    *body, eos = task.reference(problem)
    values = [i for i, token in enumerate(task.vocab) if token.isdecimal()]
    for completion in (values, body + values, [*body, body[-1]], body * 2, body * 500, problem.prompt):
        assert task.reward(problem, [*completion, eos]) == 0.0
