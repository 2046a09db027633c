"""Generated tokens a second: `GPT.generate` against transformers' `generate`, same weights, same limit.

24 prompts with 16 completions each at temperature 1, counting tokens up to and including EOS. "prior" has the
weights of a short pre-training on the chain sum, so that completions end as they do when RL starts: most of them
soon (a direct answer), some late (reasoned). "untrained" seldom ends one before the limit, so there is nothing to
gain by dropping what has ended.
"""

from __future__ import annotations

import tempfile
import time

import torch
from common import Paired, exit_unless, paired_median, parse_args, reached
from torch.nn.utils.rnn import pad_sequence
from transformers import Qwen3ForCausalLM

from pgce_mini.gpt import GPT, GPTConfig
from pgce_mini.tasks import EOS_ID, PAD_ID, ChainSum

PROMPTS, GENERATIONS = 24, 16
TARGETS = {"prior": 3.0, "untrained": 2.5}
SHAPES = {
    "d=64, 2 layers": GPTConfig(vocab_size=len(ChainSum().vocab)),
    "d=128, 4 layers": GPTConfig(len(ChainSum().vocab), 128, 4, intermediate_size=256),
}


def pretrained(config: GPTConfig, task: ChainSum, steps: int) -> GPT:
    model = GPT(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95), fused=True)
    for step in range(steps):
        rows = [torch.tensor(task.document(0, 96 * step + i)) for i in range(96)]
        ids = pad_sequence(rows, batch_first=True, padding_value=PAD_ID)
        targets = ids[:, 1:]
        keep = targets != PAD_ID
        logits = model.hidden_states(ids[:, :-1], keep) @ model.unembedding.T
        torch.nn.functional.cross_entropy(logits, targets[keep]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model


def compare(ours: GPT, task: ChainSum, repeats: int) -> Paired:
    """Seconds a token."""
    prompts = [task.problem(seed=0, index=i).prompt for i in range(PROMPTS)]
    ids = torch.tensor(prompts)
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as directory:
        ours.to_qwen3(directory)
        theirs = Qwen3ForCausalLM.from_pretrained(directory)

    def our_cost() -> float:
        start = time.perf_counter()
        generation = ours.generate(
            prompts, task.max_completion_length, generator=generator, num_generations=GENERATIONS
        )
        return (time.perf_counter() - start) / int(generation.completion_mask.sum())

    def their_cost() -> float:
        start = time.perf_counter()
        completions = theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=task.max_completion_length,
            num_return_sequences=GENERATIONS,
            eos_token_id=EOS_ID,
            pad_token_id=PAD_ID,
        )[:, ids.shape[1] :]
        elapsed = time.perf_counter() - start
        ended = completions == EOS_ID
        return elapsed / int((ended.cumsum(1) - ended.int() == 0).sum())  # no EOS before the token

    return paired_median(our_cost, their_cost, repeats)


def main() -> None:
    args = parse_args(__doc__)
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)  # transformers samples from the global random state
    task = ChainSum()
    kept = []
    for weights, steps in (("prior", 100), ("untrained", 0)):
        for name, config in SHAPES.items():
            result = compare(pretrained(config, task, steps), task, args.repeats)
            speeds = f"ours {1 / result.ours:,.0f} tokens/s, transformers {1 / result.theirs:,.0f}"
            kept.append(reached(f"{weights}, {name}: {speeds}", result.ratio, TARGETS[weights]))
    exit_unless(kept)


if __name__ == "__main__":
    main()
