"""What makes the loss fast on a CPU: threads that take blocks of rows in turn, and memory in large pages."""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

LARGE_PAGE = 2**21  # bytes


def share_blocks(work: Callable[[Iterator[slice]], None], blocks: Iterable[slice], threads: int) -> None:
    """Runs `work` in `threads` threads at once, each of which draws from `blocks` until none is left.

    An operator that torch itself spreads over threads ends in a barrier: beside a busy process each of the dozen
    operators of a block waits for the thread that lost its core. Here a thread waits once, at the end.
    """
    if threads == 1 or not torch.backends.openmp.is_available():  # only OpenMP has a number for each thread
        work(iter(blocks))
        return
    shared, running = _Shared(blocks), list[Future[None]]()
    try:
        for _ in range(threads):
            # each thread has modes of its own: inference mode may write to the tensors of every other mode
            running.append(_pool().submit(torch.inference_mode()(work), shared))
    except RuntimeError:  # no new work is taken once the main thread has ended
        work(shared)
    for future in running:
        future.result()


class _Shared(Iterator[slice]):
    """An iterator that several threads may draw from."""

    def __init__(self, items: Iterable[slice]) -> None:
        self._items, self._lock = iter(items), threading.Lock()

    def __next__(self) -> slice:
        with self._lock:
            return next(self._items)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), "pgce_mini-loss", _use_one_torch_thread, (threading.Lock(),))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork


def _use_one_torch_thread(one_at_a_time: threading.Lock) -> None:
    """In this thread alone: torch has a number for each thread, and one for threads that have yet to start."""
    with one_at_a_time:  # the number for new threads is 1 for a moment
        for_new_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        restore = threading.Thread(target=torch.set_num_threads, args=(for_new_threads,))
        restore.start()
        restore.join()


def in_large_pages(tensor: Tensor) -> Tensor:
    """Asks Linux to back a new, still untouched tensor with pages of 2 MB, and returns it.

    Fresh memory is mapped a page at a time when it is first written, and with pages of 4 KB this takes as long as
    the arithmetic of the loss. Nothing happens on another system or device, or for a small tensor.
    """
    size = tensor.numel() * tensor.element_size()
    if hasattr(mmap, "MADV_HUGEPAGE") and tensor.device.type == "cpu" and size >= 4 * LARGE_PAGE:
        start = -(-tensor.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (tensor.data_ptr() + size) // mmap.PAGESIZE * mmap.PAGESIZE
        _libc().madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), mmap.MADV_HUGEPAGE)
    return tensor


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
