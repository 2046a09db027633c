"""Text: its windows, its tokens, and files that cannot be used."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from pgce_mini.tasks import PAD_ID, Split, Text

DISTINCT = "".join(map(chr, range(0x4E00, 0x4E00 + 2000)))  # every character tells its place; blocks of 40


@cache
def manual() -> Text:
    return Text()


def write(folder: Path, text: str) -> str:
    path = folder / "text.txt"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_windows_are_stretches_of_their_split_and_reach_all_of_it(tmp_path: Path) -> None:
    task = Text(path=write(tmp_path, DISTINCT), tokenizer="char", context_length=8)
    places: dict[Split, set[int]] = {"train": set(), "heldout": set()}
    for split, seen in places.items():
        for index in range(5000):
            window = task.decode(task.document(0, index, split))
            assert len(window) == 9
            assert window in DISTINCT
            seen |= {DISTINCT.index(character) for character in window}
    heldout = {place for place in range(2000) if place // 40 % 10 == 9}
    assert places == {"train": set(range(2000)) - heldout, "heldout": heldout}


def test_byte_pairs_are_learnt_from_the_train_split_alone(tmp_path: Path) -> None:
    text = "".join(("qzx " if block % 10 == 9 else "abc ") * 100 for block in range(50))
    task = Text(path=write(tmp_path, text), vocab_size=300, context_length=16)
    assert " abc" in task.vocab
    assert not [piece for piece in task.vocab if "qz" in piece or "zx" in piece]
    assert task.decode(task.document(0, 0, "heldout")).strip("qzx ") == ""


@pytest.mark.parametrize("text", ["abab abcabc bcabca cab " * 400, None])
def test_byte_pairs_are_those_of_the_trainer(text: str | None, tmp_path: Path) -> None:
    task = Text(path=None if text is None else write(tmp_path, text), vocab_size=600)
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=598, initial_alphabet=alphabet, show_progress=False)
    trained.train_from_iterator(task._split()["train"], trainer)
    assert len(task.vocab) == 2 + trained.get_vocab_size()
    for sample in (task._text[:20_000], "ünïcode 😀 abcabcab\n"):
        assert task.encode(sample) == [2 + i for i in trained.encode(sample).ids]


@pytest.mark.parametrize("tokenizer", ["bpe", "char"])
def test_fitted_state_survives_json_and_decodes_the_same_where_the_text_is_another(
    tokenizer: Any, tmp_path: Path
) -> None:
    book = write(tmp_path, "the cat sat on the mat. " * 500)
    here = Text(path=book, tokenizer=tokenizer, vocab_size=300, context_length=16)
    state = json.loads(json.dumps(here.fitted_state()))
    write(tmp_path, "quick zebras jump over lazy dogs. " * 500)
    there = Text(path=book, tokenizer=tokenizer, vocab_size=300, context_length=16).with_fitted_state(state)
    assert there.vocab == here.vocab
    assert there.fitted_state() == here.fitted_state()
    assert there.encode("that mat") == here.encode("that mat")
    assert there.decode(here.encode("that mat")) == "that mat"
    with pytest.raises(ValueError, match="has changed since the model was trained"):
        there.document(0, 0)
    assert there.with_fitted_state({}).vocab != here.vocab  # fitted to its own text


@given(st.text())
@example("<eos><pad>\r\n")
def test_byte_pairs_encode_any_text(text: str) -> None:
    ids = manual().encode(text)
    assert manual().decode(ids) == text.replace("\r\n", "\n").replace("\r", "\n")
    assert all(PAD_ID + 1 < i < len(manual().vocab) for i in ids)  # not even "<eos>" in a text becomes EOS


def test_pieces_are_readable() -> None:
    vocab = manual().vocab
    ascii_text = "for x in range(3):\n    print(x)"
    assert "".join(vocab[i] for i in manual().encode(ascii_text)) == ascii_text
    assert "".join(vocab[i] for i in manual().encode("€ \xa0")) == "<0xE2><0x82><0xAC> <0xC2><0xA0>"
    assert {bytes([byte]).decode() if byte < 128 else f"<0x{byte:02X}>" for byte in range(256)} <= set(vocab)


def test_a_short_vocabulary_has_fewer_tokens_than_asked_for(tmp_path: Path) -> None:
    task = Text(path=write(tmp_path, "ab " * 1000), vocab_size=5000, context_length=4)
    assert len(task.vocab) < 300


def test_characters_are_those_of_the_file_in_order(tmp_path: Path) -> None:
    task = Text(
        path=write(tmp_path, "\ufeff" + "héllo 数\n" * 50), tokenizer="char", context_length=4, vocab_size=1
    )
    assert task.vocab == ("<pad>", "<eos>", *"\n ehloé数".replace("e", ""))
    assert task.decode(task.encode("hello".replace("e", "é"))) == "héllo"
    with pytest.raises(ValueError, match=r"text holds 'z', which is not a character of .*text\.txt"):
        task.encode("hz")


@pytest.mark.parametrize("tokenizer", ["bpe", "char"])
@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_line_ends_are_the_same_in_the_file_and_in_what_is_encoded(
    end: str, tokenizer: Any, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    lines = ["first", "second\u2028 line", "third\x00\x85", ""]
    path.write_bytes((b"\xef\xbb\xbf" if end == "\r\n" else b"") + (end.join(lines) * 100).encode())
    task = Text(path=str(path), tokenizer=tokenizer, vocab_size=300, context_length=4)
    (tmp_path / "unix.txt").write_bytes(("\n".join(lines) * 100).encode())
    unix = Text(path=str(tmp_path / "unix.txt"), tokenizer=tokenizer, vocab_size=300, context_length=4)
    assert task.fitted_state() == unix.fitted_state()
    assert task.document(0, 7) == unix.document(0, 7)
    assert task.encode(end.join(lines)) == unix.encode("\n".join(lines))
    assert task.decode(task.encode(end.join(lines))) == "\n".join(lines)
    assert task.encode("\r") == task.encode("\n")


@pytest.mark.parametrize("tokenizer", ["bpe", "char"])
@pytest.mark.parametrize("text", ["t\udce9", "\ud800", "\udfff\udfff"])
def test_text_that_is_no_unicode_is_refused(text: str, tokenizer: Any, tmp_path: Path) -> None:
    task = Text(path=write(tmp_path, "the cat sat on the mat. " * 50), tokenizer=tokenizer)
    with pytest.raises(ValueError, match=r"text holds '\\ud[8-f].{2}', which is no character"):
        task.encode(text)


@pytest.mark.parametrize("size", [10**7 + 1, 10**10, 10**30])
def test_vocabulary_that_nobody_needs_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="vocab_size must be a whole number between 258 and 10000000"):
        Text(vocab_size=size)


def test_trainer_has_room_for_no_more_than_the_text_can_give(tmp_path: Path) -> None:
    path = write(tmp_path, "ab abc abcd abcde " * 40)
    few, many = (Text(path=path, vocab_size=size, context_length=4) for size in (2000, 10**7))
    assert few.fitted_state() == many.fitted_state()
    assert "abcde" in "".join(few.vocab)


@pytest.mark.parametrize("tokenizer", ["bpe", "char"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "path must be a text, but '.*text.txt' is empty"),
        (b"abc\xff", "path must be a UTF-8 text, but '.*text.txt' is not at byte 3"),
        (
            b"abc ",
            "path must be a longer text or context_length smaller: no train stretch of '.*text.txt' has 129",
        ),
        (b"abc " * 1000, "no heldout stretch of '.*text.txt' has 129 tokens, the longest has [0-9]+$"),
        (None, "path must be a readable file, got '.*text.txt': No such file or directory"),
    ],
)
def test_files_that_cannot_be_used_are_named(
    tmp_path: Path, tokenizer: str, data: bytes | None, message: str
) -> None:
    path = tmp_path / "text.txt"
    if data is not None:
        path.write_bytes(data)
    task = Text(path=str(path), tokenizer="char" if tokenizer == "char" else "bpe")
    with pytest.raises(ValueError, match=message):
        task.document(0, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": 3}, "path must be the name of a file as a str, got 3"),
        ({"path": "a\0b"}, r"path must be the name of a file as a str, got 'a\\x00b'"),
        ({"tokenizer": "word"}, "tokenizer must be one of bpe, char, got 'word'"),
        ({"vocab_size": 257}, "vocab_size must be a whole number of at least 258, got 257"),
        ({"context_length": 0}, "context_length must be a whole number of at least 1, got 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Text(**settings)
