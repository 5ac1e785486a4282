"""What a network is fitted on: samples as tensors, some of them taken at a time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.losses import there
from tasks.ranks import Part
from tasks.standard import Statistics, standardised
from tasks.train.inputs import Inputs
from tasks.train.network import Modal


@dataclass(frozen=True)
class Rows:
    """Samples as tensors: tokens float32 [n, t, d], mask bool [n, t] and time float32 [n, t] per modality.

    `labels` per target are class indices int64 [n] or standardised values float32 [n] (see tasks/losses.py); `there`
    int64 [k] numbers those that have any of the modalities: the others teach nothing.
    """

    tokens: Modal
    mask: Modal
    time: Modal
    labels: Modal
    there: Tensor

    @classmethod
    def of(cls, inputs: Inputs, targets: Iterable[str], statistics: Statistics, device: str) -> "Rows":
        """Samples on a device, values standardised; on the CPU the memory is that of the inputs."""
        features = sorted(inputs.features.items())
        return cls(
            {m: torch.from_numpy(body.tokens).to(device) for m, body in features},
            {m: torch.from_numpy(body.mask).to(device) for m, body in features},
            {m: torch.from_numpy(body.time).to(device) for m, body in features},
            {t: torch.from_numpy(standardised(inputs.labels(t), statistics.get(t))).to(device) for t in sorted(targets)},
            torch.from_numpy(inputs.there).to(device),
        )

    def labelled(self) -> "Rows":
        """The same, `there` being those that have a label of any target."""
        known = torch.stack([there(labels) for labels in self.labels.values()]).any(0)
        return replace(self, there=self.there[known[self.there]])

    def take(self, index: Tensor) -> "Rows":
        """Some of the samples, in this order."""
        tokens, mask, time, labels = (
            {name: x[index] for name, x in part.items()} for part in (self.tokens, self.mask, self.time, self.labels)
        )
        return Rows(tokens, mask, time, labels, torch.arange(len(index)))

    def cut(self, part: Part) -> "Rows":
        """One rank's part of these samples, as they lie."""
        if part.ranks.count == 1:
            return self
        tokens, mask, time, labels = (part.cut(of) for of in (self.tokens, self.mask, self.time, self.labels))
        return Rows(tokens, mask, time, labels, torch.arange(part.end - part.begin))

    def dropping(self, share: float, generator: torch.Generator, held: Mapping[str, float] | None = None) -> "Rows":
        """Hide each present modality with probability `share`, but never all of a sample's; one that is held back more often.

        Neverova, Wolf, Taylor, Nebout, "ModDrop: Adaptive Multi-modal Gesture Recognition", TPAMI 2016: the network
        learns to do with what is there, and not to lean on the modality that it overfitted first.
        """
        there = torch.stack([self.mask[m].any(1) for m in self.mask], 1)  # [b, modalities]
        often = torch.tensor([1 - (1 - share) * (1 - (held or {}).get(m, 0.0)) for m in self.mask])
        kept = there & (torch.rand(there.shape, generator=generator) >= often).to(there.device)
        kept = torch.where(kept.any(1, keepdim=True), kept, there)
        mask = {m: self.mask[m] & kept[:, i : i + 1] for i, m in enumerate(self.mask)}
        return Rows(self.tokens, mask, self.time, self.labels, self.there)
