"""What numpy and torch compute as a function of the data and the thread count alone: `with steady(params.threads): …`.

`reduced` says with how many digits.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from tasks.errors import WrongValue


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


def require(device: str) -> None:
    """Refuse a device that this machine does not have.

    Raises:
        WrongValue: so it is.
    """
    number = int(device.partition(":")[2] or 0)
    if device != "cpu" and number >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise WrongValue(
            f"params.yaml: device is {device}, and torch can use {found} GPU(s) here: set `device: cpu`, or give it one"
        )


def reduced(precision: str, device: str) -> AbstractContextManager[object]:
    """Multiply matrices and convolve in bfloat16 when `precision` is bf16; weights, their gradients and sums stay float32.

    Micikevicius et al., "Mixed Precision Training", ICLR 2018; bfloat16 has float32's range, so that no loss has to be scaled:
    Kalamkar et al., "A Study of BFLOAT16 for Deep Learning Training", 2019. What comes out may be bfloat16: see `full`.
    """
    return torch.autocast(torch.device(device).type, torch.bfloat16) if precision == "bf16" else nullcontext()


def full(values: Tensor) -> Tensor:
    """The same values with float32's digits at least, as losses want them."""
    return values.float() if values.dtype == torch.bfloat16 else values
