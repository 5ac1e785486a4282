"""One pass over the train split, and the loss that tells how good it was."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from tasks import losses
from tasks.checkpoint import Training
from tasks.steady import full, reduced
from tasks.targets import Target
from tasks.train.balance import Balance
from tasks.train.coral import Coral
from tasks.train.network import Modal, Network
from tasks.train.neural import ROWS
from tasks.train.pace import Pace, slowed
from tasks.train.rows import Rows
from tasks.train.task import Task


def epoch(
    network: Network, training: Training, train: Rows, balance: Balance, coral: Coral | None, task: Task
) -> tuple[float, int]:
    """One pass over the train split in a new order: mean loss and number of steps."""
    network.train()
    total = 0.0
    pace = Pace(task.targets, task.train.slowing, task.train.alone)
    criterion = partial(_criterion, targets=task.targets, weights=balance.weights)
    batches = torch.split(train.there[balance.order(len(train.there), training.order)], task.train.batch)
    for index in batches:
        whole = train.take(index)
        with reduced(task.train.precision, task.device):
            alone, held = pace.measure(partial(_answer, network, whole), criterion, whole.mask, whole.labels)
        batch = whole.dropping(task.train.modality_dropout, training.order, held)
        loss = _loss(network, batch, balance, task)
        apart = coral.penalty(partial(_fused, network), task.train.batch, training.order) if coral else 0.0
        if network.align is not None:
            apart = apart + task.train.align * network.apart(whole.tokens, whole.mask)
        training.optimiser.zero_grad()
        (loss + alone + apart).backward()  # type: ignore[no-untyped-call]
        task.ranks.add_up(network)
        with slowed(network, held, training.order):
            training.optimiser.step()
        total += loss.item()
    return task.ranks.total(total) / len(batches), len(batches)


def _loss(network: Network, batch: Rows, balance: Balance, task: Task) -> Tensor:
    """This rank's share of the loss of a batch; the mean is over all ranks' rows."""
    with task.ranks.part(len(batch.there)) as part, reduced(task.train.precision, task.device):
        ours = batch.cut(part)
        raw = _answer(network, ours, ours.mask)
    sums = _losses(raw, ours.labels, task.targets, balance.weights)
    if task.ranks.count > 1:
        sums = {t: (part.counted(loss), losses.there(batch.labels[t]).sum()) for t, (loss, _) in sums.items()}
    return _weighted(sums, task.targets)


def _answer(network: Network, batch: Rows, mask: Modal) -> Modal:
    """What the network puts out of a batch where the masks are on."""
    raw: Modal = network(batch.tokens, mask, batch.time)
    return raw


def _fused(network: Network, batch: Rows) -> Tensor:
    """What the heads see of a batch."""
    return network.fused(batch.tokens, batch.mask, batch.time)


def _criterion(raw: Modal, labels: Modal, targets: Mapping[str, Target], weights: Modal) -> Tensor:
    """What the network is fitted to, a scalar."""
    return _weighted(_losses(raw, labels, targets, weights), targets)


def _losses(raw: Modal, labels: Modal, targets: Mapping[str, Target], weights: Modal) -> dict[str, tuple[Tensor, Tensor]]:
    """Per target the sum of its loss over the labelled, and their number."""
    return {t: losses.total(targets[t], full(raw[t]), truth, weights.get(t)) for t, truth in labels.items()}


def _weighted(sums: Mapping[str, tuple[Tensor, Tensor]], targets: Mapping[str, Target]) -> Tensor:
    """Weighted sum over targets of the mean loss of the labelled; 0 where none is."""
    return torch.stack([targets[t].weight * total / count.clamp(min=1) for t, (total, count) in sorted(sums.items())]).sum()


def loss_on(network: Network, rows: Rows, balance: Balance, task: Task) -> float:
    """The loss of all rows, some at a time, each counted once, by the answers that will be given."""
    network.eval()
    nothing = torch.zeros((), dtype=torch.double, device=rows.there.device)
    sums = {target: (nothing.clone(), nothing.clone()) for target in rows.labels}
    with torch.inference_mode():
        for index in torch.split(rows.there, ROWS):
            with task.ranks.part(len(index)) as part:
                batch = rows.take(index[part.begin : part.end])
            raw = network(batch.tokens, batch.mask, batch.time)
            raw |= {t: raw[t] + shift for t, shift in balance.shift.items()}
            for target, (loss, count) in _losses(raw, batch.labels, task.targets, {}).items():
                sums[target][0].add_(part.counted(loss))
                sums[target][1].add_(part.counted(count))
        whole = {t: (task.ranks.added(loss), task.ranks.added(count)) for t, (loss, count) in sums.items()}
        return task.ranks.agreed(float(_weighted(whole, task.targets)))
