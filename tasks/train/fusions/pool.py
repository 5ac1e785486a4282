"""From a modality's tokens to one vector, and what is said of modalities in a module's parts."""

from torch import Tensor


def slot(modality: str) -> str:
    """The name of a modality's (or target's) part in a `ModuleDict`, where bare names such as `keys` or `type` are taken."""
    return f"of_{modality}"


def pooled(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the tokens that are there.

    Args:
        tokens: float [b, t, d]; finite, also where the mask is off.
        mask: bool [b, t].

    Returns:
        float [b, d], 0 where no token is there; bool [b], whether any is.
    """
    weight = mask.to(tokens.dtype).unsqueeze(-1)  # [b, t, 1]
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1), mask.any(1)
