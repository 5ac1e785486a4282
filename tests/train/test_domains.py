"""Several sites or devices: statistics of each, what is fused varies alike, and all the way from metadata.csv to a bundle."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from tasks.bundle import Bundle
from tasks.champion.__main__ import champion
from tasks.errors import ContractBroken
from tasks.evaluate.__main__ import evaluate
from tasks.features import Features
from tasks.files import folder_digest, read_json, write_json
from tasks.paths import BUNDLE, CANDIDATES, CHAMPION, MANIFEST, REPORTS
from tasks.select.__main__ import select
from tasks.tables import write_parquet
from tasks.train.__main__ import train
from tasks.train.candidates import load_candidate
from tasks.train.card import read_card
from tasks.train.coral import Coral, distance
from tasks.train.domains import LEAST, Domains
from tasks.train.inputs import Inputs, read_inputs, read_unlabelled
from tests.planted import enter_copy, plant, plant_raw
from tests.train.memory import inputs
from tests.train.sites import sites

NAMES = ("audio", "image")
SAMPLES = MANIFEST / "samples.parquet"


def some(count, site, seed=0, shift=0.0, missing=()):
    rng = np.random.default_rng(seed)
    parts = {m: rng.normal(shift, 2, (count, 3)) for m in NAMES}
    for m in missing:
        parts[m][: count // 2] = np.nan
    return inputs(parts, np.zeros(count, int), domain=[site] * count if isinstance(site, str) else site)


def tokens(of, modality="audio"):
    return of.features[modality].tokens[:, 0]


def test_each_domain_has_the_statistics_of_its_train_samples_labelled_or_not_and_the_others_those_of_all():
    north, south = some(60, "north"), some(50, "south", 1, 5.0)
    few = some(LEAST - 1, "few", 2, -9.0)
    train_rows = replace(north, unlabelled=joined(south, few))
    domains = Domains.of("site", train_rows)
    assert domains.names == ("north", "south")
    every = np.concatenate([tokens(part) for part in (north, south, few)])
    for site, of in (("north", tokens(north)), ("south", tokens(south)), ("few", every), ("", every), ("new", every)):
        found = domains.normalised(north.features, [site] * 60)["audio"].tokens[:, 0]
        np.testing.assert_allclose(found, (tokens(north) - of.mean(0)) / of.std(0), atol=1e-5)
    np.testing.assert_allclose(
        domains.normalised(north.features)["image"].tokens, domains.normalised(north.features, [""] * 60)["image"].tokens
    )


def joined(*parts):
    samples = pa.concat_tables([part.samples for part in parts])
    bodies = {m: [part.features[m] for part in parts] for m in NAMES}
    keys = ("tokens", "mask", "time")
    return Inputs(samples, {m: Features(*(np.concatenate([getattr(b, k) for b in bodies[m]]) for k in keys)) for m in NAMES})


def test_a_domain_that_seldom_has_a_modality_is_measured_by_all_there_and_what_is_missing_has_no_say():
    north = some(30, "north", missing=["audio"])
    south = some(60, "south", 1, 5.0)
    domains = Domains.of("site", replace(north, unlabelled=south))
    assert domains.names == ("north", "south")
    there = tokens(north)[15:]
    every = np.concatenate([there, tokens(south)])
    np.testing.assert_allclose(domains.mean["audio"][1], every.mean(0), rtol=1e-5)
    np.testing.assert_allclose(domains.mean["image"][1], tokens(north, "image").mean(0), rtol=1e-4)
    found = domains.normalised(north.features, north.domain)["audio"]
    assert (found.tokens[:15] == 0).all()
    assert not found.mask[:15].any()


def test_the_distance_of_covariances_and_its_gradient_are_those_of_numpy():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(9, 4)), 2 * rng.normal(size=(7, 4))
    apart = np.cov(first.T) - np.cov(second.T)
    leaf = torch.tensor(first, requires_grad=True)
    found = distance(leaf, torch.tensor(second))
    found.backward()
    np.testing.assert_allclose(found.item(), np.sum(apart**2) / (4 * 16))
    np.testing.assert_allclose(leaf.grad, 4 / (4 * 16) / 8 * (first - first.mean(0)) @ apart)
    assert torch.autograd.gradcheck(distance, (leaf, torch.tensor(second, requires_grad=True)))


def test_each_step_takes_two_domains_and_as_many_samples_of_each():
    north, south, unknown = some(5, "north"), some(40, "south", 1), some(9, "", 2)
    coral = Coral.of(replace(joined(north, unknown), unlabelled=south), 3.0, "cpu")
    assert coral is not None
    seen = []

    def represent(rows):
        seen.append(rows.tokens["audio"][:, 0])
        return rows.tokens["audio"][:, 0]

    found = coral.penalty(represent, 6, torch.Generator().manual_seed(0))
    (drawn,) = seen
    torch.testing.assert_close(found, 3 * distance(drawn[:6], drawn[6:]))
    sides = [{tuple(row) for row in half.tolist()} for half in (drawn[:6], drawn[6:])]
    known = [{tuple(row) for row in tokens(part).tolist()} for part in (north, south)]
    assert sorted(len(side & known[0]) > 0 for side in sides) == [False, True]
    assert all(side <= known[0] or side <= known[1] for side in sides)
    assert Coral.of(replace(north, unlabelled=unknown), 3.0, "cpu") is None


def sited(how="normalise", names=NAMES):
    """A planted night of two sites; most train samples of the second are unlabelled, and of some the site is not known."""
    plant(modalities=names, epochs=4, group_size=1, samples=400)
    table = pq.read_table(SAMPLES).to_pandas()
    table["domain"] = ["south" if i % 2 else "north" for i in range(len(table))]
    table.loc[::10, "domain"] = ""
    table["unlabelled"] = (table["split"] == "train") & (table["domain"] == "south") & (table.index % 3 > 0)
    table["label"] = table["label"].astype("Int64").mask(table["unlabelled"])
    table.loc[table["unlabelled"], "split"] = ""
    schema = pq.read_schema(SAMPLES).append(pa.field("domain", pa.string()))
    write_parquet(SAMPLES, pa.Table.from_pandas(table, schema, preserve_index=False).replace_schema_metadata(None))
    write_json(MANIFEST / "manifest.json", {**read_json(MANIFEST / "manifest.json"), "domain": "site"})
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["train"] |= {"domains": how}
    params["validate"] = {"domain": "site"}
    Path("params.yaml").write_text(yaml.safe_dump(params))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sited()
        for name in ("concat", "mean", "plain"):
            train(name)
        select()
        evaluate()
        plant_raw()
    return folder


@pytest.fixture
def night(tmp_path, monkeypatch, fitted):
    enter_copy(fitted, tmp_path, monkeypatch)


@pytest.mark.usefixtures("night")
def test_statistics_are_of_the_train_split_and_lie_beside_every_candidate():
    taught, free = read_inputs(NAMES, "train"), read_unlabelled(NAMES)
    assert len(free) > 50
    for folder in (CANDIDATES / "mean", CANDIDATES / "plain/alone-image", CANDIDATES / "plain/late"):
        domains = Domains.load(folder, read_card(folder))
        assert (domains.column, domains.names) == ("site", ("north", "south"))
        assert set(domains.mean) == set(read_card(folder).modalities)
        rows = [np.array(part.domain) == "south" for part in (taught, free)]
        bodies = [part.features["image"] for part in (taught, free)]
        found = [body.tokens[of][body.mask[of]] for body, of in zip(bodies, rows, strict=True)]
        np.testing.assert_allclose(domains.mean["image"][2], np.concatenate(found).mean(0), atol=1e-5)


@pytest.mark.usefixtures("night")
def test_evaluate_and_the_bundle_answer_by_the_samples_domain_and_unknown_ones_by_all():
    test, bundle = read_inputs(NAMES, "test"), Bundle.load(BUNDLE)
    card = bundle.candidate.card
    said = bundle.predict({m: test.features[m] for m in card.modalities}, test.domain)["label"]
    written = pq.read_table(REPORTS / "evaluate/predictions.parquet")
    found = np.stack([written[f"label__{i}"].to_numpy() for i in range(4)], 1)
    np.testing.assert_array_equal(found, said)
    features = {m: test.features[m] for m in card.modalities}
    unknown = bundle.predict(features, ["nowhere"] * len(test))["label"]
    np.testing.assert_array_equal(unknown, bundle.predict(features)["label"])
    assert np.abs(unknown - said).max() > 0.01
    raw = {m: [row.tobytes() for row in body.tokens] for m, body in features.items()}
    raw = {m: [row if on else None for row, on in zip(raw[m], features[m].mask.any(1), strict=True)] for m in raw}
    np.testing.assert_allclose(bundle.predict_raw(raw, test.domain)["label"], said, atol=1e-6)
    with pytest.raises(ContractBroken, match="samples need as many domains, got 1"):
        bundle.predict(features, ["north"])


@pytest.mark.usefixtures("night")
def test_the_champion_is_told_the_domain_where_it_is_the_same_column():
    shutil.copytree(BUNDLE, CHAMPION)
    Path("data/anchor").mkdir(parents=True, exist_ok=True)
    bundle, test = Bundle.load(BUNDLE), read_inputs(NAMES, "test")
    features = {m: test.features[m] for m in bundle.modalities}
    for column, domain in (("site", test.domain), ("device", None)):
        write_json(MANIFEST / "manifest.json", {**read_json(MANIFEST / "manifest.json"), "domain": column})
        champion()
        table = pq.read_table(REPORTS / "champion.parquet")
        found = np.stack([table[f"label__{i}"].to_numpy() for i in range(4)], 1)
        np.testing.assert_allclose(found, bundle.predict(features, domain)["label"], atol=1e-6)


DAMAGE = {
    "no names": ({"column": "site"}, "must hold exactly a column and the sorted names"),
    "twice": ({"column": "site", "names": ["north", "north"]}, "must hold exactly a column and the sorted names"),
    "one more": ({"column": "site", "names": ["a", "b", "c"]}, "does not fit its candidate.json"),
}


@pytest.mark.usefixtures("night")
@pytest.mark.parametrize("case", DAMAGE)
def test_a_bundle_whose_domains_are_damaged_is_refused(case):
    content, message = DAMAGE[case]
    (BUNDLE / "fusion/domains/domains.json").write_text(json.dumps(content))
    with pytest.raises(ContractBroken, match=message):
        Bundle.load(BUNDLE)


@pytest.mark.usefixtures("night")
def test_a_bundle_without_domains_is_as_it_was_and_half_of_them_is_told():
    features = {m: body for m, body in read_inputs(NAMES, "test").features.items() if m in Bundle.load(BUNDLE).modalities}
    (BUNDLE / "fusion/domains/weights.safetensors").unlink()
    with pytest.raises(ContractBroken, match=r"missing, unknown or linked: fusion/domains/weights\.safetensors"):
        Bundle.load(BUNDLE)
    shutil.rmtree(BUNDLE / "fusion/domains")
    bundle = Bundle.load(BUNDLE)
    wanted = load_candidate(BUNDLE / "fusion").predict(features)["label"]
    np.testing.assert_array_equal(bundle.predict(features, ["north"] * len(wanted))["label"], wanted)


@pytest.mark.parametrize("how", ["normalise", "coral"])
def test_a_fit_is_the_same_bytes_in_any_order_of_modalities_and_sees_no_test_sample(how, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digests = []
    for names, kept in ((NAMES, ("train", "val", "test", "")), (NAMES[::-1], ("train", "val", ""))):
        sited(how, names)
        table = pq.read_table(SAMPLES)
        write_parquet(SAMPLES, table.filter([split in kept for split in table["split"].to_pylist()]))
        train("concat")
        digests.append(folder_digest(CANDIDATES / "concat"))
    assert digests[0] == digests[1]


def test_a_manifest_without_domains_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sited()
    write_parquet(SAMPLES, pq.read_table(SAMPLES).drop_columns(["domain"]))
    with pytest.raises(ContractBroken, match=r"tells no domains: set validate\.domain in params\.yaml"):
        train("mean")


def test_what_one_site_teaches_holds_at_the_other():
    assert sites("normalise", 0, "shifted") > sites("none", 0, "shifted") + 0.1
