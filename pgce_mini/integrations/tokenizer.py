"""The tokenizer of a corpus as tokenizer.json: the same ids and the same text in `tokenizers` and transformers.

No token is put before or after a text: no document begins with one. What spells "<eos>" in a text is that token
here, so that TRL can end a text with it, and letters for `Text.encode`; transformers reads letters, too, with
`split_special_tokens=True`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pgce_mini.tasks import Corpus, Text
from pgce_mini.tasks.base import SPECIAL_TOKENS
from pgce_mini.tasks.text import NUM_SPECIAL

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NO_TOKEN = "<unk>"  # in no vocabulary: what is unknown raises an error, as in `Corpus.encode`


def tokenizer_of(corpus: Corpus) -> Tokenizer:
    """A `tokenizers.Tokenizer` with the ids of `corpus.encode` and the text of `corpus.decode`.

    Raises:
        ValueError: the text of the corpus cannot be read, where it has no fitted state.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    if isinstance(corpus, Text) and corpus.tokenizer == "bpe":
        pairs = json.loads(corpus.byte_pairs.to_str())["model"]
        vocab = {piece: NUM_SPECIAL + i for piece, i in pairs["vocab"].items()}  # none mixes letters and brackets
        vocab |= {token: i for i, token in enumerate(SPECIAL_TOKENS)}
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(merge) for merge in pairs["merges"]]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        vocab = {token: i for i, token in enumerate(corpus.vocab)}
        tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=NO_TOKEN))
        if isinstance(corpus, Text):
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")  # a character a token
            tokenizer.decoder = decoders.Fuse()
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if isinstance(corpus, Text):  # lines end in "\n"
        ends = [normalizers.Replace("\r\n", "\n"), normalizers.Replace("\r", "\n")]
        tokenizer.normalizer = normalizers.Sequence(ends)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer
