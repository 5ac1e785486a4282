"""What every fusion promises: shape, masks, order, finiteness; and that product and mean can represent an interaction."""

import pytest
import torch
from torch.nn import functional

from tasks import params
from tasks.errors import WrongValue
from tasks.train.fusions import FUSIONS
from tasks.train.fusions.attention import Attention
from tasks.train.fusions.pool import slot
from tasks.train.network import Network

NAMES = ("audio", "image", "text")
BATCH, STEPS, WIDTH = 5, 4, 8


def tokens_of(seed=0):
    torch.manual_seed(seed)
    tokens = {m: torch.randn(BATCH, STEPS, WIDTH) for m in NAMES}
    mask = {m: torch.ones(BATCH, STEPS, dtype=torch.bool) for m in NAMES}
    time = {m: torch.arange(STEPS).expand(BATCH, STEPS).float() for m in NAMES}
    return tokens, mask, time


def network(fusion, names=NAMES, seed=0):
    made = Network(fusion, dict.fromkeys(names, WIDTH), {"label": 3}, width=8, heads=2, dropout=0.0)
    made.initialise(seed)
    for number, parameter in enumerate(made.parameters()):  # vectors start at 0: give them something to do
        if parameter.ndim == 1:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
    return made.eval()


def test_the_registry_is_that_of_the_parameters():
    assert tuple(sorted(FUSIONS)) == params.FUSIONS


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_what_stands_where_the_mask_is_off_changes_nothing_not_even_a_gradient(name):
    tokens, mask, time = tokens_of()
    mask["audio"][0] = False  # sample 0 has no audio
    mask["text"][1, 2:] = False  # sample 1 has two tokens less of text
    found = []
    for filler in (0.0, float("nan")):
        made = network(name)
        filled = {m: torch.where(mask[m].unsqueeze(-1), tokens[m], filler) for m in NAMES}
        seconds = {m: torch.where(mask[m], time[m], filler) for m in NAMES}
        logits = made(filled, mask, seconds)["label"]
        logits.square().sum().backward()
        found.append([logits.detach(), *(p.grad for p in made.parameters() if p.grad is not None)])
    assert found[0][0].shape == (BATCH, 3)
    assert all(torch.isfinite(x).all() for x in found[1])
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_tokens_that_are_not_there_can_be_cut_off(name):
    tokens, mask, time = tokens_of()
    mask["text"][:, 2:] = False
    whole = network(name)(tokens, mask, time)["label"]
    cut = [{**part, "text": part["text"][:, :2]} for part in (tokens, mask, time)]
    torch.testing.assert_close(network(name)(*cut)["label"], whole)


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_a_sample_without_anything_gets_finite_numbers(name):
    tokens, mask, time = tokens_of()
    for m in NAMES:
        mask[m][2] = False
    logits = network(name)(tokens, mask, time)["label"]
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_the_order_of_the_modalities_changes_nothing(name):
    tokens, mask, time = tokens_of()
    turned = [dict(reversed(part.items())) for part in (tokens, mask, time)]
    first, second = network(name), network(name, tuple(reversed(NAMES)))
    assert torch.equal(first(tokens, mask, time)["label"], second(*turned)["label"])


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_samples_do_not_see_each_other(name):
    tokens, mask, time = tokens_of()
    whole = network(name)(tokens, mask, time)["label"]
    one = network(name)(*({m: x[3:4] for m, x in part.items()} for part in (tokens, mask, time)))["label"]
    torch.testing.assert_close(one, whole[3:4])


@pytest.mark.parametrize("lacking", [(), *((m,) for m in NAMES), *(tuple(x for x in NAMES if x != m) for m in NAMES)])
@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_whatever_is_lacking_numbers_are_finite_and_gradients_are_those_of_differences(name, lacking):
    tokens, mask, time = tokens_of()
    for m in lacking:
        mask[m][:] = False
        tokens[m][:] = float("nan")
    made = network(name).double()
    parts = {m: x[:2, :2].double().requires_grad_(m not in lacking) for m, x in tokens.items()}
    seen, when = ({m: x[:2, :2] for m, x in part.items()} for part in (mask, time))
    there = [m for m in NAMES if m not in lacking]

    def logits(*given):
        return made({**parts, **dict(zip(there, given, strict=True))}, seen, when)["label"]

    assert torch.isfinite(logits(*(parts[m] for m in there))).all()
    assert torch.autograd.gradcheck(logits, tuple(parts[m] for m in there))


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_a_present_modality_matters_and_an_absent_one_does_not(name):
    tokens, mask, time = tokens_of()
    before = network(name)(tokens, mask, time)["label"]
    moved = {**tokens, "image": tokens["image"] + 1}
    assert not torch.allclose(network(name)(moved, mask, time)["label"], before, atol=1e-3)


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_names_that_modules_use_themselves_are_fine_as_modalities_and_targets(name):
    made = Network(name, {"keys": 3, "type": 2}, {"values": 2, "training": 4}, width=4, heads=2, dropout=0.0)
    tokens = {"keys": torch.ones(1, 2, 3), "type": torch.ones(1, 1, 2)}
    mask = {m: torch.ones(x.shape[:2], dtype=torch.bool) for m, x in tokens.items()}
    time = {m: torch.zeros(x.shape[:2]) for m, x in tokens.items()}
    assert {t: tuple(x.shape) for t, x in made(tokens, mask, time).items()} == {"values": (1, 2), "training": (1, 4)}


def test_a_modalitys_first_weights_do_not_depend_on_the_others():
    both, one = network("mean"), network("mean", ("image",))
    assert torch.equal(both.adapters["of_image"].project.weight, one.adapters["of_image"].project.weight)


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_an_interaction_can_be_learned(name):
    torch.manual_seed(0)
    signs = torch.randint(0, 2, (256, 2)).float() * 2 - 1
    made = Network(name, {"audio": 1, "image": 1}, {"label": 2}, width=16, heads=2, dropout=0.0)
    made.initialise(0)
    tokens = {"audio": signs[:, :1, None], "image": signs[:, 1:, None]}
    mask = {m: torch.ones(256, 1, dtype=torch.bool) for m in tokens}
    time = {m: torch.zeros(256, 1) for m in tokens}
    truth = (signs.prod(1) > 0).long()  # exclusive or: no modality says anything alone
    optimiser = torch.optim.AdamW(made.parameters(), lr=0.01)
    for _ in range(150):
        loss = torch.nn.functional.cross_entropy(made(tokens, mask, time)["label"], truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert (made(tokens, mask, time)["label"].argmax(1) == truth).float().mean() > 0.99


def test_attention_tells_the_order_of_tokens():
    tokens, mask, time = tokens_of()
    turned = {**tokens, "image": tokens["image"].flip(1)}
    assert not torch.allclose(
        network("attention")(turned, mask, time)["label"], network("attention")(tokens, mask, time)["label"]
    )


@pytest.mark.parametrize("name", ["attention", "convolutional", "recurrent"])
def test_when_a_token_came_matters(name):
    tokens, mask, time = tokens_of()
    late = {**time, "image": time["image"].flip(1)}
    assert not torch.allclose(network(name)(tokens, mask, late)["label"], network(name)(tokens, mask, time)["label"])


@pytest.mark.parametrize("name", ["convolutional", "recurrent"])
def test_time_alone_says_the_order_of_tokens(name):
    tokens, mask, time = tokens_of()
    time = {m: x + 0.1 * number for number, (m, x) in enumerate(time.items())}  # no two at one moment
    turned = [{**part, "image": part["image"].flip(1)} for part in (tokens, mask, time)]
    torch.testing.assert_close(network(name)(*turned)["label"], network(name)(tokens, mask, time)["label"])


@pytest.mark.parametrize("name", ["convolutional", "recurrent"])
def test_when_the_clock_began_does_not_matter(name):
    tokens, mask, time = tokens_of()
    shifted = {m: x + 64 for m, x in time.items()}
    torch.testing.assert_close(network(name)(tokens, mask, shifted)["label"], network(name)(tokens, mask, time)["label"])


@pytest.mark.parametrize(
    ("name", "squares", "widths"),
    [
        ("mean", 2, 4),
        ("concat", 4, 6),
        ("product", 2 * 4, 2 * 3 + 2 * 2 + 1),
        ("attention", 9, 14),
        ("gated", 3 * 3, 2 * 3 + 2),
        ("recurrent", 8, 3 + 9),
        ("convolutional", 3 + 6, 4),
        ("lowrank", 8 * 3, 8 * 3 + 8 + 1),
    ],
)
def test_the_number_of_parameters_is_the_documented_one(name, squares, widths):
    made = FUSIONS[name](NAMES, WIDTH, heads=2)
    assert sum(p.numel() for p in made.parameters()) == squares * WIDTH**2 + widths * WIDTH


def test_heads_must_divide_the_width():
    with pytest.raises(WrongValue, match=r"multiple of train\.heads, got 8 and 3"):
        Attention(NAMES, 8, heads=3)


def test_weights_of_gates_are_what_the_values_are_mixed_by():
    tokens, mask, time = tokens_of()
    mask["audio"][0] = False
    made = network("gated").fusion
    found = made.weights(tokens, mask, time)
    for place, name in enumerate(NAMES):
        for other in NAMES:  # values that are 1 of this modality and 0 of the others
            made.values[slot(other)].weight.data.zero_()
            made.values[slot(other)].bias.data.fill_(20.0 if other == name else 0.0)
        torch.testing.assert_close(found[:, place], made(tokens, mask, time).mean(1))
    torch.testing.assert_close(found.sum(1), torch.ones(BATCH))
    assert found[0, 0] == 0
    assert found[1:].min() > 0


def test_weights_of_attention_are_what_the_query_takes_of_each_modality():
    tokens, mask, time = tokens_of()
    mask["audio"][0] = False
    mask["text"][1, 2:] = False
    made = network("attention").fusion
    found = made.weights(tokens, mask, time)
    q, k, v, allowed = made._asked(tokens, mask, time)
    for place in range(len(NAMES)):
        marks = torch.zeros_like(v)
        marks[:, :, 1 + place * STEPS : 1 + (place + 1) * STEPS] = 1.0
        taken = functional.scaled_dot_product_attention(q, k, marks, attn_mask=allowed)
        torch.testing.assert_close(found[:, place], taken.mean((1, 2, 3)))
    assert found[0, 0] == 0
    assert ((found.sum(1) > 0) & (found.sum(1) < 1)).all()


@pytest.mark.parametrize("name", sorted(FUSIONS))
def test_only_fusions_that_mix_by_weights_tell_them(name):
    found = network(name).weights(*tokens_of())
    assert (found is not None) == (name in ("attention", "gated"))
