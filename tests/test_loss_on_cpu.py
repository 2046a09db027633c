"""The loss on several threads of a CPU: the same bits, nobody's settings touched, safe under fork."""

from __future__ import annotations

import multiprocessing
import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from loss_oracle import each_arm, random_ids, rows, value_and_gradients
from torch import Tensor

from pgce_mini.loss import linear_shaped_cross_entropy, shaped_cross_entropy
from pgce_mini.loss.cpu import LARGE_PAGE, in_large_pages
from pgce_mini.reward import PAPER_ARMS, RewardShaping

V = 300  # above the k of the paper's arms


@pytest.fixture(autouse=True)
def two_threads_and_many_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("pgce_mini.loss.rows.CPU_BLOCK_ELEMENTS", 4 * V)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def gradient_of(logits: Tensor, target: Tensor, shaping: RewardShaping = PAPER_ARMS["tail-penalty"]) -> Tensor:
    return value_and_gradients(shaped_cross_entropy(logits, target, shaping), logits)[1]


@each_arm
def test_two_threads_give_the_bits_of_one(shaping: RewardShaping) -> None:
    logits, target = rows(101, V, torch.float32)
    on_two = value_and_gradients(shaped_cross_entropy(logits, target, shaping), logits)
    torch.set_num_threads(1)
    on_one = value_and_gradients(shaped_cross_entropy(logits, target, shaping), logits)
    assert all(torch.equal(two, one) for two, one in zip(on_two, on_one, strict=True))


def test_the_number_of_threads_stays_as_it_was_here_and_in_threads_that_start_later() -> None:
    def elsewhere() -> int:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(torch.get_num_threads).result()

    gradient_of(*rows(101, V))
    assert (torch.get_num_threads(), elsewhere()) == (2, 2)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_modes_of_the_caller_s_thread_reach_the_others(
    mode: Callable[[], AbstractContextManager[None]],
) -> None:
    logits, target = rows(101, V)
    shaping = PAPER_ARMS["tail-penalty"]
    expected = shaped_cross_entropy(logits, target, shaping)
    with mode():
        assert torch.equal(shaped_cross_entropy(logits, target, shaping), expected)
        hidden = torch.eye(V, dtype=logits.dtype)
        torch.testing.assert_close(linear_shaped_cross_entropy(logits, hidden, target, shaping), expected)


def test_several_threads_may_ask_at_once() -> None:
    batches = [((i + 1) * rows(101, V)[0].detach(), random_ids(V, 101)) for i in range(8)]
    expected = [gradient_of(logits.clone().requires_grad_(), target) for logits, target in batches]
    with ThreadPoolExecutor(8) as pool:
        got = pool.map(lambda batch: gradient_of(batch[0].clone().requires_grad_(), batch[1]), batches)
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(got, expected, strict=True))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_starts_threads_of_its_own() -> None:
    expected = gradient_of(*rows(101, V)).sum().item()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply_async(_sum_of_gradient).get(60) == expected


def _sum_of_gradient() -> float:
    return gradient_of(*rows(101, V)).sum().item()


def test_an_error_in_a_thread_is_the_caller_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_head(*_: object) -> None:
        raise MemoryError(threading.current_thread().name)

    monkeypatch.setattr("pgce_mini.loss.rows.find_head", find_head)
    with pytest.raises(MemoryError, match="pgce_mini-loss"):
        gradient_of(*rows(101, V))


def test_a_thread_that_outlives_the_main_thread_still_gets_its_loss() -> None:
    program = """
        import threading, time
        import torch
        from pgce_mini import RewardShaping, shaped_cross_entropy

        def train():
            threading.main_thread().join()
            time.sleep(0.2)  # until the pools of the standard library take no more work
            print(shaped_cross_entropy(torch.zeros(8192, 256), torch.zeros(8192).long(), RewardShaping()).item())

        torch.set_num_threads(2)
        threading.Thread(target=train).start()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(run.stdout) == pytest.approx(5.545177, abs=1e-5)  # log 256


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").exists(), reason="pages of one size")
def test_large_pages_are_asked_for_a_large_tensor() -> None:
    tensor = in_large_pages(torch.empty(16 * LARGE_PAGE, dtype=torch.uint8)).fill_(7)
    inside = tensor.data_ptr() + 8 * LARGE_PAGE
    mappings = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())[1:]
    flags = []
    for mapping in mappings:
        start, end = (int(bound, 16) for bound in mapping.split(" ", 1)[0].split("-"))
        if start <= inside < end:
            flags.append(mapping.split("VmFlags:")[1])
    assert len(flags) == 1
    assert " hg" in flags[0]
    assert tensor.min() == tensor.max() == 7
