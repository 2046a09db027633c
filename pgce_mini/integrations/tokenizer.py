"""The tokenizer of a corpus as tokenizer.json: the same ids and the same text in `tokenizers` and transformers.

Nothing is put before or after a text, as no document begins with a special token. In a text that spells "<eos>"
`tokenizers` reads the token, where `Corpus.encode` reads letters (`split_special_tokens=True` of transformers does, too).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pgce_mini.tasks import EOS_ID, PAD_ID, Corpus, Text
from pgce_mini.tasks.text import NUM_SPECIAL

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NO_TOKEN = "<unk>"  # in no vocabulary: what is unknown raises an error, as in `Corpus.encode`


def special_tokens(corpus: Corpus) -> tuple[str, str]:
    """The text of pad and of eos in tokenizer.json: that of the vocabulary, or, where byte pairs spell the same, in
    one more pair of brackets."""
    taken = corpus.byte_pairs.get_vocab() if isinstance(corpus, Text) and corpus.tokenizer == "bpe" else {}
    pad, eos = corpus.vocab[PAD_ID], corpus.vocab[EOS_ID]
    while pad in taken or eos in taken:
        pad, eos = f"<{pad}>", f"<{eos}>"
    return pad, eos


def tokenizer_of(corpus: Corpus) -> Tokenizer:
    """A `tokenizers.Tokenizer` with the ids of `corpus.encode` and the text of `corpus.decode`.

    Raises:
        ValueError: the text of the corpus cannot be read, where it has no fitted state.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    pad, eos = special_tokens(corpus)
    vocab = {token: i for i, token in enumerate((pad, eos, *corpus.vocab[NUM_SPECIAL:]))}
    if isinstance(corpus, Text) and corpus.tokenizer == "bpe":
        pairs = json.loads(corpus.byte_pairs.to_str())["model"]
        vocab = {pad: PAD_ID, eos: EOS_ID} | {piece: NUM_SPECIAL + i for piece, i in pairs["vocab"].items()}
        tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(merge) for merge in pairs["merges"]]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
    else:
        tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=NO_TOKEN))
        if isinstance(corpus, Text):
            tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")  # a character a token
            tokenizer.decoder = decoders.Fuse()
        else:
            tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if isinstance(corpus, Text):  # lines end in "\n"
        ends = [normalizers.Replace("\r\n", "\n"), normalizers.Replace("\r", "\n")]
        tokenizer.normalizer = normalizers.Sequence(ends)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (pad, eos)])
    return tokenizer
