"""What numpy and torch compute as a function of the data and the thread count alone: `with steady(params.threads): …`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def steady(threads: int) -> Iterator[None]:
    """Use so many threads, and only algorithms whose result is the same each time."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA refuses deterministic products
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling fresh memory costs half of a small network's time; nothing here reads it before writing.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    with threadpool_limits(threads):
        yield
