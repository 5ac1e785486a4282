"""What a network does beyond a sample, done for the whole batch though each rank has a part of it.

Networks are written as for one process. `with Whole(part):` takes the place of the functions whose result for a row depends
on the other rows, or on how many there are:

dropout     is drawn for the whole batch by every rank, whose generators stay in step; a rank takes its own rows. On the CPU
            the masks are those of one process, bit for bit.
attention   its dropout likewise. (One process on CUDA draws inside a fused kernel: other masks, as good.)
batch_norm  means and variances are those of all ranks' rows, two sums with gradients. Ioffe, Szegedy, "Batch
            Normalization", ICML 2015; torch's own SyncBatchNorm is for CUDA alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from tasks.ranks import Part
from tasks.steady import full


class Whole(TorchFunctionMode):
    """Where networks run on a part of a batch."""

    def __init__(self, part: Part) -> None:
        """Stand for the other rows of this part's batch."""
        super().__init__()
        self._part = part
        self._own: dict[Any, Callable[..., Tensor]] = {
            functional.dropout: self._dropout,
            functional.batch_norm: self._batch_norm,
            functional.scaled_dot_product_attention: self._attention,
        }

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do what torch asks a mode to do: call the function, or what stands for it."""
        return self._own.get(func, func)(*args, **(kwargs or {}))

    def _dropout(self, values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if not training or p == 0:
            return values
        part = self._part
        each, rest = divmod(len(values), part.end - part.begin)  # a row may have become several, one for each token
        if rest:
            raise ValueError(f"dropout of {len(values)} rows where the part of the batch has {part.end - part.begin}")
        return values * functional.dropout(self._ones(values, each), p)[part.begin * each : part.end * each]

    def _ones(self, values: Tensor, each: int) -> Tensor:
        """As many as the whole batch has, in memory as the values are: random numbers are drawn in that order."""
        order = sorted(range(1, values.dim()), key=values.stride, reverse=True)
        laid = values.new_ones((self._part.total * each, *(values.shape[dim] for dim in order)))
        return laid.permute(0, *(1 + order.index(dim) for dim in range(1, values.dim())))

    def _batch_norm(
        self,
        values: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        if not training:
            return functional.batch_norm(values, running_mean, running_var, weight, bias, False, momentum, eps)
        exact = full(values)
        dims = [dim for dim in range(values.dim()) if dim != 1]
        shape = [1, -1, *[1] * (values.dim() - 2)]
        own = exact.new_tensor([values.numel() / values.shape[1]])
        *_, count = sums = self._part.added(torch.cat([exact.sum(dims), own]))
        mean = sums[:-1] / count
        centred = exact - mean.view(shape)
        variance = self._part.added(centred.square().sum(dims)) / count
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean.to(running_mean.dtype), momentum)
                running_var.lerp_((variance * count / (count - 1)).to(running_var.dtype), momentum)
        found = centred * torch.rsqrt(variance + eps).view(shape)
        found = found if weight is None else found * weight.view(shape)
        shifted: Tensor = found if bias is None else found + bias.view(shape)
        return shifted.to(values.dtype)

    def _attention(self, query: Tensor, key: Tensor, value: Tensor, **how: Any) -> Tensor:
        """Attention with dropout by its formula; without it torch's own."""
        share = how.pop("dropout_p", 0.0)
        if share == 0:
            return functional.scaled_dot_product_attention(query, key, value, **how)
        mask = how.pop("attn_mask")
        if how or mask.dtype != torch.bool:
            raise ValueError(f"attention on a part of a batch knows attn_mask, bool, and dropout_p alone, got {sorted(how)}")
        scale = query.shape[-1] ** -0.25  # on either side, as torch does: no product overflows
        scores = (query * scale) @ (key * scale).transpose(-2, -1)
        weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
        return self._dropout(weights, share) @ value
