"""Encoders in front of a network, fitted with it."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from tasks.extract import Loaded
from tasks.train.fusions.pool import slot
from tasks.train.network import Modal

Vary = Callable[[Modal, torch.Generator], Modal]


class Encoders(nn.Module):
    """Prepared samples -> tokens, by encoders that were fitted before.

    Samples that lack a modality, or have it hidden, do not go through its encoder: no normalisation ever sees them.
    """

    def __init__(self, encoders: Mapping[str, Loaded]) -> None:
        """Take encoders of our own, modality -> encoder; other modalities' tokens are handed on as they are."""
        super().__init__()
        self.vary: dict[str, Vary] = {m: one.how.augment for m, one in sorted(encoders.items())}
        self.widths = {m: one.card.width for m, one in encoders.items()}
        self.networks = nn.ModuleDict({slot(m): one.network for m, one in sorted(encoders.items())})
        for parameter in self.networks.parameters():
            if parameter.ndim == 4:  # as convolutions of pictures run fastest
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)

    def forward(self, inputs: Modal, mask: Modal, time: Modal) -> Modal:
        """Tokens float32 [b, t, width] per modality.

        Args:
            inputs: what `prepare` makes of b samples, `<modality>/<key>` -> [b, …]; tokens of a modality without an encoder.
            mask: bool [b, t] per modality.
            time: float32 [b, t] per modality, s.
        """
        return {m: self._tokens(m, inputs, mask[m], time[m]) if m in self.vary else inputs[m] for m in sorted(mask)}

    def _tokens(self, modality: str, inputs: Modal, mask: Tensor, time: Tensor) -> Tensor:
        there = torch.nonzero(mask.any(1)).squeeze(1)
        if not len(there):
            return time.new_zeros((*mask.shape, self.widths[modality]))
        seen = {key: values[there] for key, values in part_of(inputs, modality).items()}
        seen |= {"mask": mask[there], "time": time[there]}
        if self.training:
            seen = self._varied(modality, seen, mask.device)
        network = self.networks[slot(modality)]
        network.train(self.training and len(there) > 1)  # one sample has no variance that a batch could be normalised by
        found: Tensor = network(seen)
        return found.new_zeros((len(mask), *found.shape[1:])).index_copy(0, there, found)

    def _varied(self, modality: str, seen: Modal, device: torch.device) -> Modal:
        """Draw from the generator that draws dropout: a checkpoint holds it."""
        if device.type == "cpu":
            return self.vary[modality](seen, torch.default_generator)
        with device:
            return self.vary[modality](seen, torch.cuda.default_generators[device.index or 0])


def part_of(inputs: Modal, modality: str) -> Modal:
    """One modality's arrays, by their own names."""
    return {key.removeprefix(f"{modality}/"): values for key, values in inputs.items() if key.startswith(f"{modality}/")}
