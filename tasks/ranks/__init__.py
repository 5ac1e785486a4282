"""One model, fitted by several processes of one or more machines: `with joined(…) as ranks:` (tasks/ranks/start.py).

Each of them (a *rank*, numbered from 0) reads all rows, holds the whole model and draws every random number; it computes with
a stretch of each batch, and what is summed over a batch is summed over the ranks. So their number changes the last bits and
nothing else: a sample meets the same mask of dropout, the same others of its batch and the same step wherever it is computed.
Rank 0 alone reads and writes checkpoints, writes what the stage makes, prints, and says when to stop.

    __init__     what ranks do together
    whole        what a network does beyond a sample: dropout, statistics of a batch
    start        how ranks find each other, and end together
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn


class Parted(Exception):
    """Another rank is gone, or did not answer in time."""


@dataclass(frozen=True)
class Ranks:
    """Those who fit a model together, and which of them this process is.

    Attributes:
        number: of this process.
        count: of all.
        device: where this one computes.

    Every method must be called by all ranks in the same order; with one rank it does nothing. Each raises Parted.
    """

    number: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.number == 0

    @contextmanager
    def part(self, rows: int) -> Iterator["Part"]:
        """This rank's stretch of a batch of so many rows; a network that runs inside treats it as a part of the whole."""
        if rows < self.count:  # nobody is left without a row: no network has to know what to do with none
            part = Part(self, rows, 0, rows, 1 / self.count)
        else:
            part = Part(self, rows, rows * self.number // self.count, rows * (self.number + 1) // self.count)
        if self.count == 1:
            yield part
            return
        from tasks.ranks.whole import Whole

        with Whole(part):
            yield part

    def added(self, values: Tensor) -> Tensor:
        """The sum over the ranks, of the same shape; no gradient (see `Part.added`)."""
        if self.count == 1:
            return values
        total = values.detach().clone(memory_format=torch.contiguous_format)
        with _together():
            distributed.all_reduce(total)
        return total

    def add_up(self, model: nn.Module) -> None:
        """Replace each gradient by its sum over the ranks: one message for all."""
        if self.count == 1:
            return
        found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        total = self.added(torch.cat([gradient.flatten() for gradient in found]))
        for gradient, part in zip(found, torch.split(total, [gradient.numel() for gradient in found]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def total(self, value: float) -> float:
        """The sum of a number over the ranks, the same for each."""
        return self.agreed(float(self.added(torch.tensor(value, dtype=torch.double))))

    def agreed(self, value: float) -> float:
        """What rank 0 says, so that no two ever decide otherwise on it."""
        if self.count == 1:
            return value
        said = torch.tensor(value, dtype=torch.double)
        self._told(said)
        return float(said)

    def content(self, content: bytes) -> bytes:
        """The bytes that rank 0 has."""
        if self.count == 1:
            return content
        size = int(self.agreed(len(content)))
        said = torch.frombuffer(bytearray(content), dtype=torch.uint8) if self.first and size else torch.zeros(size).byte()
        if size:
            self._told(said)
        return said.numpy().tobytes()

    def align(self, model: nn.Module) -> None:
        """Give all ranks rank 0's weights: machines of two kinds would begin with other last bits."""
        if self.count > 1:
            for _, tensor in sorted(model.state_dict().items()):
                self._told(tensor)

    def meet(self) -> None:
        """Wait for all."""
        self.agreed(0.0)
        self.added(torch.zeros(1))

    def _told(self, tensor: Tensor) -> None:
        with _together():
            distributed.broadcast(tensor, 0)


@dataclass(frozen=True)
class Part:
    """A rank's stretch of a batch: rows `begin` to `end` of `total`, and what they count.

    Of a batch of fewer rows than ranks each rank takes all, which count a `share` of 1 / ranks.
    """

    ranks: Ranks
    total: int
    begin: int
    end: int
    share: float = 1.0

    def cut(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our rows of tensors [total, …]."""
        return {key: values[self.begin : self.end] for key, values in batch.items()} if self.ranks.count > 1 else dict(batch)

    def counted(self, loss: Tensor) -> Tensor:
        """What the part's rows add to a loss of the whole batch."""
        return loss if self.share == 1 else loss * self.share

    def added(self, values: Tensor) -> Tensor:
        """The sum over the batch's parts, of the same shape; so is its gradient."""
        if self.ranks.count == 1:
            return values
        total: Tensor = _Sum.apply(values, self.ranks)  # type: ignore[no-untyped-call]
        return self.counted(total)

    def gathered(self, rows: Tensor) -> Tensor:
        """All ranks' rows [end - begin, d] in their order: [total, d]; each gets the gradient of what all make of it."""
        if self.ranks.count == 1:
            return rows
        return self.added(nn.functional.pad(rows, (0, 0, self.begin, self.total - self.end)))


class _Sum(torch.autograd.Function):
    """A sum over the ranks that passes gradients on: what each makes of it counts for all its parts."""

    @staticmethod
    def forward(ctx, values: Tensor, ranks: Ranks) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.ranks = ranks
        return ranks.added(values)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        return ctx.ranks.added(gradient), None


ALONE = Ranks()


@contextmanager
def _together() -> Iterator[None]:
    """Tell what becomes of a message that does not arrive."""
    try:
        yield
    except RuntimeError as error:
        raise Parted(" ".join(str(error).split())[:300]) from error
