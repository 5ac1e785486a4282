"""What is fitted before a fusion's heads, on samples with or without a label: maps between modalities, and their alignment."""

from itertools import permutations

import torch
from torch import Tensor, nn

from tasks.params import Train, keyed_seed
from tasks.train.align import Align
from tasks.train.early import Part, fit_early
from tasks.train.mapping import Filling, Map, Mapped
from tasks.train.network import Modal, Network
from tasks.train.neural import ROWS
from tasks.train.rows import Rows

Pairs = tuple[Tensor, Tensor]
FEWEST = 2  # pairs: one teaches nothing


def fit_ahead(name: str, network: Network, train: Rows, val: Rows, knobs: Train, seed: int) -> int:
    """Fit the network's maps and align its adapters, where it has them; returns the number of steps.

    Args:
        name: of the candidate.
        network: adapters measured, weights drawn.
        train: all that teach.
        val: what tells the best epoch; where no sample has both modalities, `train` does.
        knobs: `train` of params.yaml.
        seed: of the run.
    """
    steps = 0
    if network.filling is not None:
        steps += _fill(network, network.filling, train, val, knobs, seed)
    if network.align is not None:
        steps += _align(name, network, network.align, train, val, knobs, seed)
    return steps


def _fill(network: Network, filling: Filling, train: Rows, val: Rows, knobs: Train, seed: int) -> int:
    """Fit each map; keyed by the two names, so that every fusion of a night has the same ones."""
    steps = 0
    taught, judged = (_means(network, rows) for rows in (train, val))
    for one, other in permutations(network.modalities, 2):
        pairs, held = _pairs(one, other, *taught), _pairs(one, other, *judged)
        if len(pairs[0]) < FEWEST:
            print(f"{one} -> {other}: no train sample has both: nothing is filled by this map", flush=True)
            continue
        steps += _fit_map(f"{one} -> {other}", filling.between(one, other), pairs, held, knobs, seed)
    for parameter in filling.maps.parameters():
        parameter.requires_grad_(False)
    return steps


def _fit_map(name: str, map_: Map, pairs: Pairs, held: Pairs, knobs: Train, seed: int) -> int:
    held = held if len(held[0]) >= FEWEST else pairs
    _draw(map_, keyed_seed(seed, "map", name))
    model = Mapped(map_, knobs.mapping_loss).to(pairs[0].device)
    part = Part(
        name,
        model,
        torch.arange(len(pairs[0])),
        lambda rows: model(pairs[0][rows], pairs[1][rows]),
        torch.arange(len(held[0])),
        lambda rows: model(held[0][rows], held[1][rows]),
    )
    steps = fit_early(part, knobs, torch.Generator().manual_seed(keyed_seed(seed, "map order", name)))
    with torch.no_grad():
        map_.measure(*pairs, held)
    return steps


def _align(name: str, network: Network, align: Align, train: Rows, val: Rows, knobs: Train, seed: int) -> int:
    taught, judged = (_with_two(rows) for rows in (train, val))
    if len(taught) < FEWEST:
        return 0
    held, judged = (val, judged) if len(judged) >= FEWEST else (train, taught)
    aligned = nn.ModuleDict({"adapters": network.adapters, "align": align})

    def apart(rows: Rows, index: Tensor) -> Tensor:
        batch = rows.take(index)
        return network.apart(batch.tokens, batch.mask)

    part = Part(
        f"{name}, aligning", aligned, taught, lambda index: apart(train, index), judged, lambda index: apart(held, index)
    )
    return fit_early(part, knobs, torch.Generator().manual_seed(keyed_seed(seed, "align", name)))


def _means(network: Network, rows: Rows) -> tuple[Modal, Modal]:
    """`Network.means` of all rows; no second copy of all tokens."""
    pieces = torch.split(torch.arange(len(next(iter(rows.mask.values())))), ROWS)
    with torch.no_grad():
        found = [network.means(part.tokens, part.mask) for part in map(rows.take, pieces)]
    vectors, there = ({m: torch.cat([part[i][m] for part in found]) for m in network.modalities} for i in (0, 1))
    return vectors, there


def _pairs(one: str, other: str, vectors: Modal, there: Modal) -> Pairs:
    """Mean tokens of the samples that have both."""
    both = there[one] & there[other]
    return vectors[one][both], vectors[other][both]


def _with_two(rows: Rows) -> Tensor:
    """Numbers of the samples that have at least two modalities."""
    return torch.nonzero(torch.stack([mask.any(1) for mask in rows.mask.values()]).sum(0) > 1)[:, 0]


def _draw(module: nn.Module, seed: int) -> None:
    """Draw first weights by name, as `Network.initialise` does; on the CPU, wherever they lie."""
    for name, parameter in module.named_parameters():
        first = torch.zeros(parameter.shape)
        if parameter.ndim >= 2:
            nn.init.xavier_uniform_(first, generator=torch.Generator().manual_seed(keyed_seed(seed, "init", name)))
        parameter.data.copy_(first)
