from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.errors import ContractBroken, TasksError, WrongValue
from tasks.params import FUSIONS, KINDS, check, keyed_seed, load

GOOD: dict[str, Any] = {"modalities": {"a": {"kind": "text"}, "b": {"kind": "image", "side_px": 16}}, "targets": {"label": {}}}


def changed(where: str, value: Any) -> dict[str, Any]:
    """A copy of GOOD with one more key, `train.epochs` style."""
    copy: dict[str, Any] = yaml.safe_load(yaml.safe_dump(GOOD))
    *path, last = where.split(".")
    place = copy
    for word in path:
        place = place.setdefault(word, {})
    place[last] = value
    return copy


def test_what_is_left_out_has_its_default_and_what_is_said_holds() -> None:
    params = check(changed("train.learning_rate", 1))
    assert params.train.learning_rate == 1.0
    assert isinstance(params.train.learning_rate, float)
    assert params.train.epochs == check(GOOD).train.epochs
    assert params.modalities["b"].options.side_px == 16
    assert list(params.modalities) == ["a", "b"]


def test_labels_that_yaml_reads_as_numbers_are_text() -> None:
    assert check(changed("targets.label.classes", [0, 1])).targets["label"].classes == ("0", "1")


def test_one_modality_can_be_read_alone() -> None:
    assert list(check(GOOD, "b").modalities) == ["b"]
    assert check(changed("train.alone.a", 1), "b").train.alone == {"a": 1}
    with pytest.raises(TasksError, match="unknown modality 'c'; known: a, b"):
        check(GOOD, "c")


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("tran", {}, "unknown key in params.yaml: 'tran'; known: .*train"),
        ("train.epoch", 3, "'train.epoch'; known: .*epochs"),
        ("train.epochs", "3", "train.epochs must be of type int, got '3'"),
        ("train.epochs", True, "train.epochs must be of type int, got True"),
        ("promotion", "maybe", "promotion must be one of auto, approve, got 'maybe'"),
        ("shadow.nights", -1, r"shadow.nights must be at least 0 \(never\), got -1"),
        ("pretrain.start", "1.2", "pretrain.start must be empty, champion or a version like v1.2.0, got '1.2'"),
        ("evaluate.examples", -1, r"evaluate.examples must be at least 0 \(none\), got -1"),
        ("robustness.samples", -1, r"robustness.samples must be at least 0 \(none\), got -1"),
        ("robustness.levels", [], "robustness.levels must rise, from above 0 to 1 itself, got"),
        ("robustness.levels", [0.0, 1.0], "must rise, from above 0 to 1 itself, got 0.0, 1.0"),
        ("robustness.levels", [0.5, 0.25, 1.0], "must rise, from above 0 to 1 itself"),
        ("robustness.levels", [0.25, 0.5], "must rise, from above 0 to 1 itself, got 0.25, 0.5"),
        ("train.distil", 1, "train.distil must be at least 0 and below 1, got 1"),
        ("train.epochs", 0, "train.epochs must be at least 1, got 0"),
        ("train", 3, "train must be a mapping, got 3"),
        (
            "gate.metric",
            "accurcy",
            "gate.metric must be one of accuracy, macro_f1, weighted_f1, auroc, auprc for label, a classification, got",
        ),
        ("gate.target", "x", "unknown target in params.yaml: gate.target = 'x'; known: label"),
        ("fusions", ["mean", "blend"], f"unknown fusion in params.yaml: 'blend'; known: {', '.join(FUSIONS)}"),
        ("fusions", ["mean", "mean"], "fusions names one twice"),
        ("fusions", "mean", "fusions must be a list, got 'mean'"),
        ("train.finetune", ["blend"], f"unknown fusion in params.yaml: 'blend'; known: {', '.join(FUSIONS)}"),
        ("train.finetune", ["mean", "mean"], "train.finetune names one twice"),
        ("train.finetune", None, "train.finetune must be a list, got None"),
        ("modalities.a.kind", "smell", f"modalities.a.kind = 'smell'; known: {', '.join(KINDS)}"),
        ("modalities.b.side_px", 3, "modalities.b: option side_px must be at least 8, got 3"),
        ("modalities.a.side", 3, "'modalities.a.side'; known: "),
        ("modalities.A", {"kind": "text"}, "modalities.A is no usable name"),
        ("modalities.group", {"kind": "text"}, "modalities.group is no usable name"),
        ("modalities.label", {"kind": "text"}, "label cannot be a modality and a target"),
        ("targets", {}, "targets must be a mapping with at least one entry"),
        ("split.train_share", 0, "split.train_share must be above 0 and at most 1, got 0"),
        ("split.train_share", 1.01, "split.train_share must be above 0 and at most 1, got 1.01"),
        ("split.val", 0.9, "val . split.test must be below 1"),
        ("pretrain.objective", "maskd", "pretrain.objective must be one of supervised, masked, contrastive, got 'maskd'"),
        ("pretrain.hidden", 1.0, "pretrain.hidden must be at least 0 and below 1, got 1.0"),
        ("pretrain.temperature", 0, "pretrain.temperature must be above 0, got 0"),
        ("train.align", -1, "train.align must be at least 0, got -1"),
        (
            "train",
            {"processes": 2, "align": 1.0, "slowing": 0.5},
            "train.slowing, train.align needs whole batches: set",
        ),
        (
            "train",
            {"batch": 1, "align": 1.0},
            "train.align and train.domains coral compare samples of a batch: set train.batch to 2",
        ),
        ("train", {"distil": 0.5, "balance": "sampling"}, "train.distil teaches rows whose class is not known, .* by weights"),
        ("validate.domain", "part", "validate.domain must be a column of its own, and no target or modality, got 'part'"),
        ("validate.domain", "has_a", "validate.domain must be a column of its own, and no target or modality, got 'has_a'"),
        ("train.missing", "filled", "train.missing must be one of masked, mapped, got 'filled'"),
        ("targets.unlabelled", {}, "targets.unlabelled is no usable name"),
        ("split.fold", 5, "split.fold must be 0 … 4, got 5"),
        ("split", {"folds": 1, "fold": 0}, r"with split.fold, split.val \+ 1 / split.folds must be below 1, got 0.15 \+ 1 / 1"),
        ("split", {"folds": 2, "fold": 0, "val": 0.5}, r"split.val \+ 1 / split.folds must be below 1, got 0.5 \+ 1 / 2"),
        ("gate.confidence", 0.05, "gate.confidence must be above 0.5 and below 1, e.g. 0.95, got 0.05"),
        ("gate.confidence", 1.0, "gate.confidence must be above 0.5 and below 1, e.g. 0.95, got 1.0"),
        ("evaluate.confidence", 95, "evaluate.confidence must be above 0.5 and below 1, e.g. 0.95, got 95"),
        ("train.patience", 0, "train.patience must be at least 1, got 0"),
        ("train.heads", 0, "train.heads must be at least 1, got 0"),
        ("train", {"width": 63}, "train.width must be a multiple of train.heads, got 63 and 4"),
        ("train.dropout", 1.0, "train.dropout must be at least 0 and below 1, got 1.0"),
        ("pretrain.dropout", -0.1, "pretrain.dropout must be at least 0 and below 1, got -0.1"),
        ("pretrain.learning_rate", -1, "pretrain.learning_rate must be at least 0 and at most 1e30, got -1"),
        ("train.learning_rate", 1e300, "train.learning_rate must be at least 0 and at most 1e30, got 1e[+]300"),
        ("train.learning_rate", 10**400, "train.learning_rate must be a finite number"),
        ("train.weight_decay", -1, "train.weight_decay must be at least 0, got -1"),
        ("split.embargo_s", -1, "split.embargo_s must be at least 0, got -1"),
        ("ingest.partition_mb", 0, "ingest.partition_mb must be at least 1, got 0"),
        ("evaluate.bootstrap", 1, "evaluate.bootstrap must be at least 100, got 1"),
        ("device", "gpu", "device must be cpu, cuda or cuda:N, got 'gpu'"),
        ("validate.slices", ["timestamp"], "validate.slices must name columns of their own, .* got 'timestamp'"),
        ("validate.slices", ["has_a"], "validate.slices must name columns of their own, .* got 'has_a'"),
        ("validate.slices", ["site", "site"], "validate.slices names one twice: site, site"),
        ("targets.label.classes", [True, "b"], "targets.label.classes: True is no text to YAML: put the name between quotes"),
        ("modalities.t", {"kind": "tabular", "categories": ["label"]}, "modalities.t has the column label, which is no input"),
        ("modalities.t", {"kind": "tabular", "categories": ["group"]}, "modalities.t has the column group, which is no input"),
        ("train.domains", "coral", "train.domains coral needs validate.domain, the column that names a sample's domain"),
        ("train.domains", "whiten", "train.domains must be one of none, normalise, coral, got 'whiten'"),
        ("train.coral", -1, "train.coral must be at least 0, got -1"),
        ("validate.domain", "group", "validate.domain must be a column of its own, and no target or modality, got 'group'"),
        ("validate.domain", "label", "and no target or modality, got 'label'"),
        ("validate.domain", 3, "validate.domain must be of type str, got 3"),
        ("train.slowing", -0.5, "train.slowing must be at least 0, got -0.5"),
        ("train.alone", 0.5, "train.alone must be a mapping of modalities to weights, got 0.5"),
        ("train.alone.c", 0.5, "unknown modality in params.yaml: train.alone 'c'; known: a, b"),
        ("train.alone.a", -1, "train.alone.a must be at least 0, got -1"),
        ("train.alone.a", "1", "train.alone.a must be a finite number, got '1'"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(where: str, value: Any, message: str) -> None:
    with pytest.raises(TasksError, match=message):
        check(changed(where, value))


def test_with_domains_no_target_has_the_name_of_the_manifests_columns() -> None:
    named = {**changed("validate.domain", "site"), "targets": {"domain": {}}}
    with pytest.raises(WrongValue, match=r"with validate\.domain no target may be named domain"):
        check(named)
    assert check({**GOOD, "targets": {"domain": {}}}).targets


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    with pytest.raises(ContractBroken, match="is not here: run from the repository's root"):
        load(path)
    path.write_text("[1, 2")
    with pytest.raises(ContractBroken, match="is not YAML"):
        load(path)
    path.write_text("[1, 2]")
    with pytest.raises(ContractBroken, match="must hold a mapping, got list"):
        load(path)


def test_seeds_are_keyed_by_name() -> None:
    assert keyed_seed(0, "init", "audio") == keyed_seed(0, "init", "audio")
    assert len({keyed_seed(0, "init", "audio"), keyed_seed(1, "init", "audio"), keyed_seed(0, "init", "image")}) == 3


def test_the_params_in_this_repository_are_good() -> None:
    for path in (Path("params.yaml"), *Path("data/recipes").glob("*/params.yaml")):
        assert load(path).modalities
        assert set(yaml.safe_load(path.read_text())) == set(yaml.safe_load(Path("params.yaml").read_text())), path


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"train: {epochs: 3}\ntrain: {batch: 8}\n", "is not YAML: train is there twice .*line 2"),
        (b"train:\n  epochs: 3\n  epochs: 4\n", "epochs is there twice"),
        (b"# caf\xe9\nseed: 1\n", "is not UTF-8"),
    ],
)
def test_a_file_that_says_two_things_or_nothing_readable_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ContractBroken, match=says):
        load(tmp_path / "params.yaml")
