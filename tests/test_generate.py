"""Generation: what the cache computes, what is drawn, and where a completion ends."""

import pytest
import torch
import torch.nn.functional as F
from plain_gpt import PROMPTS, SHAPES, greedy_without_cache, make, plain_logits, plain_states, random_ids, seeded
from scipy.stats import chisquare

from pgce_mini.gpt import GPT, KVCache, written
from pgce_mini.gpt.generate import sample
from pgce_mini.tasks import EOS_ID, PAD_ID


def test_log_probabilities_are_single_precision_whatever_torch_s_default_is() -> None:
    model = make()
    expected = model.generate(PROMPTS, 8, generator=seeded())
    torch.set_default_dtype(torch.float64)
    try:
        found = model.generate(PROMPTS, 8, generator=seeded())
    finally:
        torch.set_default_dtype(torch.float32)
    assert found.logps.dtype == torch.float32
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("prompts", [PROMPTS, PROMPTS[:1]], ids=["three prompts", "one prompt"])
@pytest.mark.parametrize("name", SHAPES)
@torch.no_grad()
def test_cached_states_are_those_built_by_hand(name: str, prompts: list[list[int]]) -> None:
    """Three completions of each prompt; after 20 steps all but the second of the first prompt and the last end."""
    model, steps = make(name).double(), 40
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    cache = KVCache(model.config, lengths, 3, steps, like=model.unembedding)
    ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(prompt) for prompt in prompts], batch_first=True)
    model.model(ids, torch.arange(ids.shape[1]), cache.read_prompts)
    completions, rows = random_ids(3 * len(prompts), steps), torch.arange(3 * len(prompts))
    plain = [
        plain_states(model, torch.cat([torch.tensor(prompts[row // 3]), completions[row]])[None])[0, -steps:]
        for row in rows.tolist()
    ]
    for step in range(steps):
        if step == 20:
            rows = torch.tensor([1, len(rows) - 1])
            cache.select(rows)
        states = model.model(completions[rows, step], lengths[rows // 3] + step, cache.extend)
        for state, row in zip(states, rows.tolist(), strict=True):
            torch.testing.assert_close(state, plain[row][step], rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("name", SHAPES)
def test_greedy_generation_is_the_same_without_a_cache(name: str) -> None:
    model = make(name)
    for prompts in ([PROMPTS[0]], [*PROMPTS, PROMPTS[0]]):  # alone; together, of unequal length, one of them twice
        generation = model.generate(prompts, 20, temperature=0, num_generations=2)
        for row, mask in enumerate(generation.completion_mask):
            expected = greedy_without_cache(model, prompts[row // 2], 20, EOS_ID)
            assert generation.completions[row][mask].tolist() == expected


def test_a_long_greedy_completion_is_the_same_without_a_cache() -> None:
    """The cache multiplies few keys in another way than many."""
    model, prompt = make("wide heads", seed=7), PROMPTS[2]
    expected = greedy_without_cache(model, prompt, 57, EOS_ID)
    assert len(expected) == 57
    assert model.generate([prompt], 57, temperature=0).completions[0].tolist() == expected


def test_the_greedy_tests_are_not_trivial() -> None:
    """They would be if the models repeated one token or never read their prompt."""
    for name in SHAPES:
        written = [greedy_without_cache(make(name), prompt, 20, EOS_ID) for prompt in PROMPTS]
        assert max(len(set(tokens)) for tokens in written) > 4
        assert len({tuple(tokens) for tokens in written}) == len(written)


def ending_model() -> GPT:
    """Nearly uniform, so that it ends each completion at its own time, after 23 tokens on average."""
    return make("untied", scale=0.1)


@pytest.mark.parametrize("prompts", [PROMPTS, [[5, 6], [7, 8]]], ids=["unequal", "equal"])
def test_each_row_stops_at_its_own_eos_and_is_padded_after_it(prompts: list[list[int]]) -> None:
    generation = ending_model().generate(prompts, 40, generator=seeded(), num_generations=20)
    lengths = generation.completion_mask.sum(1)
    assert len(lengths.unique()) > 5  # the batch shrank on the way
    for tokens, mask, logps, length in zip(*generation, lengths.tolist(), strict=True):
        assert mask.tolist() == [True] * length + [False] * (mask.numel() - length)
        assert EOS_ID not in tokens[: length - 1]
        assert length == 40 or tokens[length - 1] == EOS_ID
        assert (tokens[length:] == PAD_ID).all()
        assert (logps[:length] < 0).all()
        assert (logps[length:] == 0).all()


def test_generation_is_as_long_as_its_longest_completion() -> None:
    model, longest = ending_model(), []
    for seed in range(10):
        generation = model.generate([[5, 6]], 40, generator=seeded(seed), num_generations=2)
        longest.append(int(generation.completion_mask.sum(1).max()))
        assert all(tensor.shape == (2, longest[-1]) for tensor in generation)
    assert min(longest) < 40  # one draw may well reach the limit, where there is nothing to cut; not all ten


def test_eos_and_pad_are_the_callers_choice() -> None:
    model = make()
    first = int(model.generate([[5]], 1, temperature=0).completions)
    generation = model.generate([[5], [9, 10]], 6, temperature=0, eos_id=first, pad_id=22)
    assert generation.completions[0].tolist() == [first, *[22] * (generation.completions.shape[1] - 1)]
    assert generation.completion_mask[0].sum() == 1


@pytest.mark.parametrize("temperature", [0, 0.5, 1.0, 1.7])
@pytest.mark.parametrize("model", [make(), ending_model()], ids=["long", "ending"])
def test_logps_are_those_of_scoring_again(model: GPT, temperature: float) -> None:
    generation = model.generate(PROMPTS, 25, temperature=temperature, generator=seeded(), num_generations=9)
    for row in range(len(generation.completions)):
        prompt, length = PROMPTS[row // 9], int(generation.completion_mask[row].sum())
        completion = generation.completions[row, :length]
        ids = torch.cat([torch.tensor(prompt), completion])
        logps = F.log_softmax(plain_logits(model, ids[None])[0] / (temperature or 1), -1)[len(prompt) - 1 : -1]
        expected = logps.gather(1, completion[:, None]).squeeze(1)
        torch.testing.assert_close(generation.logps[row, :length], expected, rtol=1e-4, atol=1e-4)


def test_several_ids_may_end_a_text_or_none() -> None:
    model = make()
    endless = model.generate(PROMPTS, 12, temperature=0, eos_id=[])
    assert endless.completion_mask.all()
    ends = {int(row[i]) for i, row in enumerate(endless.completions)}
    generation = model.generate(PROMPTS, 12, temperature=0, eos_id=sorted(ends))
    rows = [[*row.tolist()] for row in endless.completions]
    cut = [row[: 1 + next((i for i, token in enumerate(row) if token in ends), len(row))] for row in rows]
    assert written(generation.completions, generation.completion_mask) == cut


def test_a_repeated_prompt_is_sampled_anew_each_time() -> None:
    sampled = make().generate([[5, 6], [5, 6]], 20, generator=seeded()).completions
    assert not torch.equal(sampled[0], sampled[1])


def test_samples_depend_on_the_generator_alone() -> None:
    model = ending_model()
    torch.manual_seed(1)
    first = model.generate(PROMPTS, 20, generator=seeded(5), num_generations=4)
    torch.manual_seed(2)
    again = model.generate(PROMPTS, 20, generator=seeded(5), num_generations=4)
    other = model.generate(PROMPTS, 20, generator=seeded(6), num_generations=4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.completions[:, 0], other.completions[:, 0])


@pytest.mark.parametrize("temperature", [0.7, 1.0])
def test_sampled_frequencies_match_the_softmax(temperature: float) -> None:
    model, draws = make(scale=0.4), 20_000
    prompts = [[5, 6, 7], [8]]
    generation = model.generate(prompts, 1, temperature=temperature, generator=seeded(11), num_generations=draws)
    for i, prompt in enumerate(prompts):
        logits = model(torch.tensor([prompt])).detach()[0, -1].double()
        expected = draws * F.softmax(logits / temperature, -1)
        counts = generation.completions[i * draws : (i + 1) * draws].flatten().bincount(minlength=23)
        likely = expected > 5  # the chi-square law needs that; the rest goes into one cell
        observed = [*counts[likely].tolist(), int(counts[~likely].sum())]
        wanted = [*expected[likely].tolist(), float(expected[~likely].sum())]
        kept = slice(None) if wanted[-1] > 5 else slice(-1)
        scale = sum(observed[kept]) / sum(wanted[kept])
        assert chisquare(observed[kept], [scale * w for w in wanted[kept]]).pvalue > 0.001


def test_a_token_of_probability_0_is_never_drawn() -> None:
    logits = torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]).expand(10_000, 5)
    token, logps = sample(logits, 1.0, lambda: torch.rand(len(logits), 1, generator=seeded()))
    assert set(token.tolist()) == {1, 3}
    torch.testing.assert_close(logps, torch.full_like(logps, 0.5).log())


def test_a_prompt_may_fill_the_positions_to_the_last() -> None:
    assert make().generate([[5] * 60], 4, temperature=0).completions.shape[1] <= 4


def test_generation_leaves_no_graph() -> None:
    assert not make().generate([[5]], 3, generator=seeded()).logps.requires_grad


def test_generation_works_in_bfloat16() -> None:
    generation = make().to(torch.bfloat16).generate(PROMPTS, 5, generator=seeded())
    assert generation.logps.dtype == torch.float32
    assert generation.logps.isfinite().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": []}, "^prompts "), ({"prompts": [[5], []]}, "^prompts "),
        ({"prompts": [[5, 23]]}, "^prompts .* got 23"), ({"prompts": [[-1]]}, "^prompts .* got -1"),
        ({"prompts": [[5] * 61]}, "max_position_embeddings"),
        ({"max_completion_length": 0}, "^max_completion_length "), ({"num_generations": 0}, "^num_generations "),
        ({"generator": None}, "^generator "), ({"pad_id": 23}, "^pad_id "), ({"eos_id": -1}, "^eos_id "),
    ],
)  # fmt: skip
def test_generate_names_the_argument_that_makes_no_sense(arguments: dict[str, object], message: str) -> None:
    sensible = {"prompts": [[5]], "max_completion_length": 4, "generator": seeded()}
    with pytest.raises(ValueError, match=message):
        make().generate(**(sensible | arguments))  # type: ignore[arg-type]  # wrong on purpose
