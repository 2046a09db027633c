"""Plain text: windows of any file, or of Python's own reference manual."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from pgce_mini.checks import check_choice, check_count
from pgce_mini.paths import expanded
from pgce_mini.tasks.base import HELDOUT_EVERY, SPECIAL_TOKENS, Corpus, Split, below

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Tokenization = Literal["bpe", "char"]

NUM_SPECIAL = len(SPECIAL_TOKENS)
NUM_BLOCKS = 50  # the file is cut into so many blocks of equal length, and every HELDOUT_EVERY-th is held out
MAX_BPE_VOCAB = 10**7  # what a trainer has room for, and many times what anybody uses
MIN_BPE_VOCAB = NUM_SPECIAL + 256  # every byte is a token, so that any text can be encoded


@dataclass(frozen=True)
class Text(Corpus):
    """Windows of context_length + 1 tokens, at random places of a text; they have no end, so no EOS.

    The text is a UTF-8 file, read at first use, or, without `path`, Python's own reference manual
    (`pydoc_data.topics`, whose wording changes a little between Python versions). It is cut into 50 blocks
    and every tenth is held out: no window crosses from one split to the other. Byte pairs are learnt from
    the train split. A model is saved with its tokens, so it reads and writes where the text is another or gone;
    windows are then refused: the model may have been trained on those that are held out now.

    Every line ends in "\\n", in the file and in what is encoded: "\\r\\n" and a single "\\r" are read as one. A
    byte order mark at the beginning of the file is no text; every other character is, NUL and U+2028 too.

    tokenizer "bpe": at most `vocab_size` byte pairs (fewer when the text has no more), which encode any text;
    "char": the characters of the whole file, whatever `vocab_size`.

    Raises:
        ValueError: naming the field, when a value makes no sense; naming the file, at first use, when it
            cannot be read or is too short.
    """

    name: ClassVar[str] = "text"

    path: str | None = None
    """a UTF-8 text file; None is Python's reference manual"""
    tokenizer: Tokenization = "bpe"
    """byte pairs or characters"""
    vocab_size: int = 512
    """tokens for "bpe", at most"""
    context_length: int = 128
    """tokens of input in a document"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.path is not None and (not isinstance(self.path, str) or "\0" in self.path):
            raise ValueError(f"path must be the name of a file as a str, got {self.path!r}")
        check_choice("tokenizer", self.tokenizer, get_args(Tokenization))
        if self.tokenizer == "bpe":
            check_count("vocab_size", self.vocab_size, MIN_BPE_VOCAB, MAX_BPE_VOCAB)
        check_count("context_length", self.context_length, 1, 10**9)

    @cached_property
    def vocab(self) -> tuple[str, ...]:
        if self.tokenizer == "char":
            return (*SPECIAL_TOKENS, *self._fitted_state["tokens"])
        pieces = sorted(self.byte_pairs.get_vocab().items(), key=itemgetter(1))
        return (*SPECIAL_TOKENS, *(_readable(piece) for piece, _ in pieces))

    @property
    def max_document_length(self) -> int:
        return self.context_length + 1

    def fitted_state(self) -> dict[str, Any]:
        """text: its SHA-256; tokens: its characters in one string, or the byte pairs in the order of merging."""
        return dict(self._fitted_state)

    def with_fitted_state(self, state: Mapping[str, Any]) -> Self:
        text = replace(self)  # without what this one has cached
        if state:
            text.__dict__["_fitted_state"] = dict(state)
        return text

    def document(self, seed: int, index: int, split: Split = "train") -> list[int]:
        rng = self._stream("document", seed, index, split)
        ids, starts = self._windows[split]
        start = starts[below(rng, len(starts))]
        window: list[int] = ids[start : start + self.context_length + 1].tolist()
        return window

    def encode(self, text: str) -> list[int]:
        text = text.replace("\r\n", "\n").replace("\r", "\n")  # as in a file that is opened as text
        if broken := re.search("[\ud800-\udfff]", text):
            raise ValueError(f"text holds {broken[0]!r}, which is no character: it was not written in UTF-8")
        if self.tokenizer == "bpe":
            return [NUM_SPECIAL + i for i in self.byte_pairs.encode(text).ids]
        for character in text:
            if character not in self._ids:
                raise ValueError(f"text holds {character!r}, which is not a character of {self.source}")
        return [self._ids[character] for character in text]

    def _decode(self, ids: list[int]) -> str:
        if self.tokenizer == "bpe":
            return self.byte_pairs.decode([i - NUM_SPECIAL for i in ids])
        return "".join(self.vocab[i] for i in ids)

    @property
    def source(self) -> str:
        """The name of the text, for sentences about it."""
        return self.path or "pydoc_data.topics"

    @cached_property
    def _text(self) -> str:
        if self.path is None:
            from pydoc_data.topics import topics  # half a megabyte, so only when asked for

            return "\n\n".join(topics[key] for key in sorted(topics))
        try:
            text = expanded(self.path).read_text(encoding="utf-8-sig")  # a byte order mark is no text
        except OSError as error:
            raise ValueError(f"path must be a readable file, got {self.path!r}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(
                f"path must be a UTF-8 text, but {self.path!r} is not at byte {error.start}: convert it"
            ) from error
        if not text.strip():
            raise ValueError(f"path must be a text, but {self.path!r} is empty")
        return text

    @cached_property
    def _fitted_state(self) -> dict[str, Any]:
        return {"text": _digest(self._text), "tokens": self._fit_tokens()}

    @property
    def characters(self) -> str:
        """Every character of the text, each once."""
        return "".join(sorted(set(self._text)))

    def _fit_tokens(self) -> str | list[str]:
        if self.tokenizer == "char":
            return self.characters
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers  # here: other tasks don't need it

        bpe = Tokenizer(models.BPE())
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        train = self._split()["train"]
        letters = sum(len(stretch.encode()) for stretch in train)  # each merge makes the text a piece shorter
        trainer = trainers.BpeTrainer(
            vocab_size=min(self.vocab_size - NUM_SPECIAL, 256 + letters),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        bpe.train_from_iterator(train, trainer)
        return [f"{left} {right}" for left, right in json.loads(bpe.to_str())["model"]["merges"]]

    def _split(self) -> dict[Split, list[str]]:
        edges = [len(self._text) * block // NUM_BLOCKS for block in range(NUM_BLOCKS + 1)]
        train, heldout = [], []
        for first in range(0, NUM_BLOCKS, HELDOUT_EVERY):
            last = first + HELDOUT_EVERY - 1
            train.append(self._text[edges[first] : edges[last]])
            heldout.append(self._text[edges[last] : edges[last + 1]])
        return {"train": train, "heldout": heldout}

    @cached_property
    def _windows(self) -> dict[Split, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Of each split, its token ids and where in them a window may start."""
        if _digest(self._text) != self._fitted_state["text"]:
            raise ValueError(
                f"the text of {self.source} has changed since the model was trained, so its held-out part is not "
                "known: use the text, or for the manual the version of Python, that it was trained with"
            )
        windows = {}
        for split, stretches in self._split().items():
            encoded = [np.array(self.encode(stretch), dtype=np.int64) for stretch in stretches]
            ends = np.cumsum([len(ids) for ids in encoded])
            pairs = zip(encoded, ends, strict=True)
            starts = [np.arange(end - len(ids), end - self.context_length) for ids, end in pairs]
            windows[split] = np.concatenate(encoded), np.concatenate(starts)
            if len(windows[split][1]) == 0:
                raise ValueError(
                    f"path must be a longer text or context_length smaller: no {split} stretch of {self.source!r} "
                    f"has {self.context_length + 1} tokens, the longest has {max(map(len, encoded))}"
                )
        return windows

    @cached_property
    def byte_pairs(self) -> Tokenizer:
        """The tokenizer of "bpe", whose ids are NUM_SPECIAL below those of `vocab`."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers

        merges: list[tuple[str, str]] = []
        ids = {letter: i for i, letter in enumerate(sorted(BYTE_OF))}
        for merge in self._fitted_state["tokens"]:
            left, right = merge.split(" ")
            merges.append((left, right))
            ids.setdefault(left + right, len(ids))  # two merges may end in one piece
        bpe = Tokenizer(models.BPE(vocab=ids, merges=merges))
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        bpe.decoder = decoders.ByteLevel()
        return bpe


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


# Byte-level BPE writes every byte as a printable character: itself, or one from 256 on (GPT-2's alphabet).
PRINTABLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
UNPRINTABLE = [byte for byte in range(256) if byte not in PRINTABLE]
BYTE_OF = {chr(byte): byte for byte in PRINTABLE} | {chr(256 + i): byte for i, byte in enumerate(UNPRINTABLE)}


def _readable(piece: str) -> str:
    """The text of a piece; its bytes as <0x..>, where they are only a part of a character."""
    data = bytes(BYTE_OF[character] for character in piece)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "".join(f"<0x{byte:02X}>" for byte in data)
