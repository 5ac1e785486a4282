"""The fused head as ONNX, to be run where there is no torch: `python -m tasks.score.export head.onnx`.

Of the champion, --version, or the bundle in a folder. Encoders stay out: what goes in are token features, as `Bundle.encode`
gives them; those of a bundle that knows domains after `bundle.domains.normalised`.

    inputs    <modality>.tokens float32 [batch, t, d], <modality>.mask bool [batch, t], <modality>.time float32 [batch, t] (s)
    outputs   <target> float32 [batch, classes]: logits; of a value [batch, 1]: standardised, see the file's metadata

The metadata `nightloom` is JSON: per target its type and classes, the mean and deviation of a value, the temperature that
logits are divided by before they become probabilities, and the prior that answers, at that temperature too, for a sample of
which no modality is there.
"""

import argparse
import json
import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tasks.bundle import Bundle
from tasks.errors import ContractBroken, TasksError
from tasks.extract import load_encoder
from tasks.files import write_bytes
from tasks.score.__main__ import add_who, chosen
from tasks.stage import MISTAKE, leave
from tasks.train.card import Card
from tasks.train.network import Network
from tasks.train.neural import Neural

PARTS = ("tokens", "mask", "time")
ABOUT = "nightloom"
SEVERAL = 2  # samples that the network is traced with: with one, their number would become a constant


class Head(nn.Module):
    """A network that takes its modalities one after another, as ONNX knows no names inside of an argument."""

    def __init__(self, network: Network) -> None:
        """Take the network."""
        super().__init__()
        self.network = network

    def forward(self, *flat: Tensor) -> tuple[Tensor, ...]:
        """Tokens of each modality, then masks, then times; answers in the order of the targets' names."""
        names = self.network.modalities
        tokens, mask, time = (dict(zip(names, flat[n * len(names) :], strict=False)) for n in range(len(PARTS)))
        answers = self.network(tokens, mask, time)
        return tuple(answers[target] for target in self.network.targets)


def export(candidate: Any, steps: Mapping[str, int], temperature: Mapping[str, float]) -> bytes:
    """A fitted head as an ONNX file.

    Args:
        candidate: a network: a fusion, or a modality alone.
        steps: modality -> tokens of a sample, as its encoder gives them.
        temperature: the bundle's, by target; 1 where none is named.

    Raises:
        ContractBroken: the candidate is no network, or ONNX cannot say what its fusion does; either is named.
    """
    card: Card = candidate.card
    if not isinstance(candidate, Neural):
        raise ContractBroken(
            f"{card.name} is no fused network, so there is no ONNX of it: it is arithmetic on its parts, see"
            f" tasks/train/{card.kind}.py. Fusions and single modalities can be exported"
        )
    head = Head(candidate.network).eval()
    try:
        model = _translated(head, arguments(candidate.network, card.widths, steps, SEVERAL))
    except torch.onnx.errors.OnnxExporterError as error:
        told = str(error.__cause__ or error).strip().splitlines()[-1][:300]
        raise ContractBroken(f"the fusion {card.settings['fusion']} of {card.name} cannot be told in ONNX: {told}") from error
    entry = model.metadata_props.add()
    entry.key, entry.value = ABOUT, json.dumps(_about(card, temperature), sort_keys=True)
    content: bytes = model.SerializeToString()
    return content


def arguments(network: Network, widths: Mapping[str, int], steps: Mapping[str, int], rows: int) -> tuple[Tensor, ...]:
    """What a `Head` takes, of so many samples: zeros that are all there."""
    names = network.modalities
    tokens = [torch.zeros(rows, steps[m], widths[m]) for m in names]
    mask = [torch.ones(rows, steps[m], dtype=torch.bool) for m in names]
    return (*tokens, *mask, *(torch.zeros(rows, steps[m]) for m in names))


def names_of(network: Network) -> list[str]:
    """The inputs' names, in the order of `arguments`."""
    return [f"{m}.{part}" for part in PARTS for m in network.modalities]


def _translated(head: Head, given: tuple[Tensor, ...]) -> Any:
    """The ONNX model. By torch's exporter of graphs: its older one fixes the batch in some fusions, and cannot sort stably."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it says what it would do if torchvision were there
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about its own parts
        program = torch.onnx.export(
            head,
            given,
            dynamo=True,
            input_names=names_of(head.network),
            output_names=list(head.network.targets),
            dynamic_shapes=[tuple({0: torch.export.Dim("batch", min=1)} for _ in given)],
            custom_translation_table={torch.ops.aten.sort.stable: _sorted},
            verbose=False,
        )
    return program.model_proto  # type: ignore[union-attr]  # with dynamo=True it is a program


def _sorted(values: Any, *, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
    """Torch's stable sort: of equal values, ONNX's TopK keeps the lower place first."""
    from onnxscript import opset18 as op

    count = op.Reshape(op.Gather(op.Shape(values), op.Constant(value_int=dim), axis=0), op.Constant(value_ints=[1]))
    return op.TopK(values, count, axis=dim, largest=int(descending), sorted=1)


def _about(card: Card, temperature: Mapping[str, float]) -> dict[str, Any]:
    settings = card.settings
    return {
        target: {
            **output.as_json(),
            **settings.get("statistics", {}).get(target, {}),
            **({} if output.is_number else {"prior": settings["prior"][target], "temperature": temperature.get(target, 1.0)}),
        }
        for target, output in card.outputs.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tasks.score.export", description=__doc__)
    parser.add_argument("to", type=Path, metavar="FILE", help="the file to write, e.g. head.onnx")
    add_who(parser)
    given = parser.parse_args(arguments)
    try:
        with chosen(given.bundle, given.version) as folder:
            bundle = Bundle.load(folder)
            steps = {m: load_encoder(folder / "encoders" / m).shape[0] for m in bundle.modalities}
            content = export(bundle.candidate, steps, bundle.temperature)
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        return MISTAKE
    try:
        write_bytes(given.to, content)
    except OSError as error:
        print(f"nightloom: {given.to} cannot be written: {error.strerror or error}", file=sys.stderr)
        return MISTAKE
    print(f"{given.to}: the head {bundle.candidate.card.name} of {', '.join(bundle.modalities)}")
    return 0


if __name__ == "__main__":
    leave(main())
