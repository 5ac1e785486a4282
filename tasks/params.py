"""params.yaml as frozen dataclasses, checked once at the door: `load()`.

Every knob has one home: its default (if any) stands here or, for what only one kind of modality knows, in the `Options`
of that kind's file under `tasks/profile/`. `check` is what refuses an unknown key or a wrong type, in a stage, in a
trigger form and before a run is opened.
"""

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import yaml

from tasks.errors import ContractBroken, UnknownName, WrongValue
from tasks.ranges import check_pace, check_ranges
from tasks.schema import build
from tasks.targets import IN_UNITS, METRICS, Target, read_target, unfit

PARAMS = Path("params.yaml")
KINDS = ("audio", "image", "pointcloud", "tabular", "text", "timeseries", "video", "volume")
FUSIONS = ("attention", "concat", "convolutional", "gated", "lowrank", "mean", "product", "recurrent")
FROM_ELSEWHERE = ("audio", "image", "text", "video")
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED = frozenset(
    {
        *("samples", "events", "sample_id", "group", "split", "timestamp", "plain", "bundle", "row", "batch", "refused"),
        *("withdrawn", "complete", "unlabelled", "version", "missing", "seen"),
    }
)


@dataclass(frozen=True)
class Ingest:
    """Where batches land, and how they are cut."""

    landing: str = "data/0_landing"  # a folder, or s3://bucket/prefix
    partition_rows: int = 5000
    partition_mb: int = 256
    file_mb: int = 64  # a larger file is refused
    batch_rows: int = 1_000_000


@dataclass(frozen=True)
class Split:
    """How a sample that brings no split gets one; see tasks/splits.py."""

    val: float = 0.15
    test: float = 0.2
    calibration: float = 0.25  # of val's groups, set aside to fit temperatures to; 0: none are fitted
    folds: int = 5
    fold: int | None = None  # 0 … folds - 1: that fold is the test set (k-fold by group)
    embargo_s: float = 0.0  # with timestamps and no groups: gap between train, val and test
    train_share: float = 1.0  # of train's groups, above 0: those that are used; the others are in no part
    min_groups: int = 8  # among rows that bring no split; fewer are too few to split, or to hold a class that is new
    window_batches: int | None = None  # train on the newest so many batches of samples alone
    window_s: float | None = None  # train on rows of so many seconds before the newest timestamp alone


@dataclass(frozen=True)
class Validate:
    """What a batch must hold to be admitted; see tasks/validate/."""

    quarantine_share: float = 0.05  # of a new batch's rows
    missing_share: float = 0.5  # of a modality
    max_skew_s: float = 1.0  # between a modality's own timestamp and the sample's
    drift_warning: float = 0.3  # Kolmogorov-Smirnov distance to the reference
    near_duplicates: bool = True
    domain: str = ""  # column of metadata.csv that names a sample's domain, a site or a device; see `train.domains`
    slices: tuple[str, ...] = ()  # columns of metadata.csv each of whose values is judged apart; see tasks/slices.py


@dataclass(frozen=True)
class Shadow:
    """When encoders fitted on the newest batches challenge the champion by themselves; see tasks/run/reference.py.

    Such a run costs what a first night does. With 30 that is a thirtieth of retraining everything every night.
    """

    nights: int = 30  # judged since the reference was last in question; 0: never

    def __post_init__(self) -> None:
        """Refuse fewer than none."""
        if self.nights < 0:
            raise WrongValue(f"params.yaml: shadow.nights must be at least 0 (never), got {self.nights}")


@dataclass(frozen=True)
class Pretrain:
    """How an encoder is fitted on the reference."""

    objective: Literal["supervised", "masked", "contrastive"] = "supervised"  # the others need no labels
    hidden: float = 0.5  # masked: share of a sample that is hidden
    temperature: float = 0.2  # contrastive: the lower, the more the nearest of the others count
    start: str = ""  # begin from the weights of a registered version: `champion`, or v1.2.0; empty: random ones
    epochs: int = 30
    batch: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 0.01
    dropout: float = 0.2
    width: int = 64  # of a token
    processes: int = 1  # share each batch, of `threads` each: no more than there are cores, or GPUs (tasks/ranks)
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16: of the network's products alone; for GPUs, most CPUs are slower by it

    def __post_init__(self) -> None:
        """Refuse what names no version."""
        if self.start and not re.fullmatch(r"champion|v\d+\.\d+\.\d+", self.start):
            raise WrongValue(
                f"params.yaml: pretrain.start must be empty, champion or a version like v1.2.0, got {self.start!r}"
            )


@dataclass(frozen=True)
class Train:
    """How a fused head is fitted, on frozen features or together with its encoders."""

    epochs: int = 40
    patience: int = 6
    batch: int = 64
    learning_rate: float = 0.002
    weight_decay: float = 0.01
    dropout: float = 0.2
    modality_dropout: float = 0.1
    width: int = 64
    heads: int = 4  # of attention
    distil: float = 0.0  # share of the strongest modality's answer in what the others learn alone (tasks/train/distil.py)
    balance: Literal["none", "weights", "sampling"] = "none"  # rare classes; answers keep to the train split's shares
    align: float = 0.0  # weight of a loss that aligns the modalities of a sample, labelled or not; 0: none
    missing: Literal["masked", "mapped"] = "masked"  # mapped: fusions fill a gap with what the others tell of it
    mapping: Literal["linear", "mlp"] = "linear"  # how one modality tells another …
    mapping_loss: Literal["mse", "cosine", "contrastive"] = "mse"  # … and what that is fitted to
    slowing: float = 0.0  # of the modality that is ahead of the others, 0.5 is a good start; see tasks/train/pace.py
    domains: Literal["none", "normalise", "coral"] = "none"  # coral normalises too; see domains.py and coral.py in tasks/train/
    coral: float = 10000.0  # weight of its penalty, which is small: it is divided by 4 width²
    alone: Mapping[str, float] = field(default_factory=dict)  # modality -> weight of the loss of what is answered from it alone
    processes: int = 1  # as pretrain.processes
    precision: Literal["fp32", "bf16"] = "fp32"  # as pretrain.precision
    finetune: tuple[str, ...] = ()  # fusions that are fitted end to end too, the encoders with them; dvc.yaml needs the key


@dataclass(frozen=True)
class Evaluate:
    """How scores get their intervals, and how many answers are explained."""

    bootstrap: int = 2000
    confidence: float = 0.95
    examples: int = 6  # test answers that are explained on their inputs, half of them wrong; 0: none (tasks/explain/)

    def __post_init__(self) -> None:
        """Refuse less than none."""
        if self.examples < 0:
            raise WrongValue(f"params.yaml: evaluate.examples must be at least 0 (none), got {self.examples}")


@dataclass(frozen=True)
class Robustness:
    """How raw inputs are damaged, to see what is left of the score; see tasks/damage/."""

    samples: int = 100  # of the test set, the same every night; 0: none
    levels: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)  # of damage; at 0 a sample is as it landed

    def __post_init__(self) -> None:
        """Refuse levels between which there is no area."""
        if self.samples < 0:
            raise WrongValue(f"params.yaml: robustness.samples must be at least 0 (none), got {self.samples}")
        rising = all(before < after for before, after in pairwise((0.0, *self.levels)))
        if not self.levels or not rising or self.levels[-1] != 1:
            raise WrongValue(
                f"params.yaml: robustness.levels must rise, from above 0 to 1 itself, got {', '.join(map(str, self.levels))}"
            )


@dataclass(frozen=True)
class Gate:
    """When a candidate may replace the champion."""

    target: str = ""  # empty: the first target
    metric: str = ""  # one of `METRICS` of the target's type; empty: the first
    mode: Literal["non-inferior", "better"] = "non-inferior"
    margin: float = 0.02  # this and the floors count as the metric does: a share, or the target's own unit
    confidence: float = 0.95
    horizon: int = (
        365  # nights that share the error 1 - confidence where a single one that is wrong would stay: see reigning.py
    )
    floor: float | None = None  # lowest acceptable score (lower bound); null: the metric's own, if it has one
    floor_over_prior: float = 0.05  # above always answering the commonest class, or the mean (lower bound)
    floor_over_single: float | None = None  # above the best single modality (lower bound), if asked for
    calibration: float = 0.05  # how far probabilities may be off on average, surely; see rows/calibration.py
    rows: Any = field(default_factory=dict)  # row -> blocking or warning, where it is to be another than by default
    latency_p95_ms: float | None = None  # these three are measured on the machine: beyond a limit, the page warns
    size_mb: float | None = None
    gpu_hours: float | None = None
    verify: bool = False  # make the candidate again from nothing before it is promoted; only the same bytes are


@dataclass(frozen=True)
class Score:
    """Batches that the champion predicts, and when what it meets is told or acted upon; see tasks/score/."""

    landing: str = ""  # where they land: a folder, or s3://bucket/prefix; empty: nothing is scored
    drift: float = 0.1  # smallest distance to the training data that is worth a warning, of those beyond chance
    retrain: bool = False  # start a shadow run once a version's live score fell by more than gate.margin

    def __post_init__(self) -> None:
        """Refuse a distance that is none."""
        if not 0 <= self.drift <= 1:
            raise WrongValue(f"params.yaml: score.drift must be in 0 … 1, got {self.drift}")


@dataclass(frozen=True)
class Source:
    """An encoder from elsewhere, frozen: a Hugging Face model."""

    model: str  # owner/name on the hub, or a folder: /models/name
    revision: str  # the hub's commit, 40 digits; of a folder the digest of its files, 64, which a wrong one is answered with
    tokens: int = 16  # at most so many of a sample: neighbours are averaged
    pieces: int = 64  # of a text; what comes later is not used

    def __post_init__(self) -> None:
        """Refuse what names no one model."""
        if not re.fullmatch(r"[0-9a-f]{64}" if self.local else r"[0-9a-f]{40}", self.revision):
            wanted = "the digest of its files, 64" if self.local else "a commit, 40"
            raise WrongValue(
                f"params.yaml: the revision of {self.model} must be {wanted} hexadecimal digits, got {self.revision!r}"
            )
        if self.tokens < 1 or self.pieces < 1:
            raise WrongValue(f"params.yaml: tokens and pieces of {self.model} must be at least 1")

    @property
    def local(self) -> bool:
        """Whether it is a folder."""
        return self.model.startswith(("/", "."))


@dataclass(frozen=True)
class Modality:
    """One input of a sample, by the name its user chose."""

    name: str
    kind: str
    options: Any  # the frozen dataclass `Options` of tasks/profile/<kind>.py
    encoder: Source | None = None  # None: one of our own, fitted by `pretrain`


@dataclass(frozen=True)
class Params:
    """Everything in params.yaml."""

    modalities: Mapping[str, Modality]
    targets: Mapping[str, Target]
    fusions: tuple[str, ...] = ("concat", "mean", "product", "attention")
    seed: int = 0
    threads: int = 1
    device: str = "cpu"
    promotion: Literal["auto", "approve"] = "auto"  # approve: a person is asked before a candidate that passed is promoted
    ingest: Ingest = field(default_factory=Ingest)
    split: Split = field(default_factory=Split)
    validate: Validate = field(default_factory=Validate)
    shadow: Shadow = field(default_factory=Shadow)
    pretrain: Pretrain = field(default_factory=Pretrain)
    train: Train = field(default_factory=Train)
    evaluate: Evaluate = field(default_factory=Evaluate)
    robustness: Robustness = field(default_factory=Robustness)
    gate: Gate = field(default_factory=Gate)
    score: Score = field(default_factory=Score)


def keyed_seed(seed: int, *names: str) -> int:
    """A seed for one purpose, e.g. `keyed_seed(0, "init", "audio")`: keyed by names, so that no order or position matters."""
    return int.from_bytes(hashlib.sha256(":".join([str(seed), *names]).encode()).digest()[:8], "big") >> 1


class _Once(yaml.SafeLoader):
    """YAML whose mappings name each key once; the plain loader takes the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that is there already.

        Raises:
            ConstructorError: so it is; it holds the place.
        """
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
            seen.add(key.value)
        return dict(super().construct_mapping(node, deep))


def load(path: Path = PARAMS, modality: str | None = None) -> Params:
    """Read and check params.yaml.

    Args:
        path: the file.
        modality: read this one alone, so that its stage imports no other kind's libraries; None: all.

    Raises:
        ContractBroken: the file is absent or no YAML mapping.
        UnknownName: a key, kind or fusion that does not exist.
        WrongValue: a value of another type, or out of its range.
    """
    if not path.is_file():
        raise ContractBroken(f"{path} is not here: run from the repository's root")
    try:
        raw = yaml.load(path.read_text("utf-8"), _Once)  # noqa: S506  a SafeLoader
    except UnicodeDecodeError as error:
        raise ContractBroken(f"{path} is not UTF-8: {error}") from error
    except yaml.YAMLError as error:
        raise ContractBroken(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ContractBroken(f"{path} must hold a mapping, got {type(raw).__name__}")
    return check(raw, modality)


def check(raw: Mapping[str, Any], modality: str | None = None) -> Params:
    """Turn the content of params.yaml into `Params`, or say what is wrong with it (see `load`)."""
    plain = {key: value for key, value in raw.items() if key not in {"modalities", "targets"}}
    known = {f.name for f in dataclasses.fields(Params)}
    for key in plain:
        if key not in known:
            raise UnknownName("key in params.yaml:", key, known)
    bodies = _mapping(raw, "modalities")
    if modality is not None and modality not in bodies:
        raise UnknownName("modality", modality, bodies)
    modalities = {name: _modality(name, body) for name, body in sorted(bodies.items()) if modality in (None, name)}
    targets = {name: read_target(name, body) for name, body in _mapping(raw, "targets").items()}
    params: Params = build(Params, {**plain, "modalities": modalities, "targets": targets}, "")
    _check_names(params)
    _check_inputs(params)
    check_ranges(params)
    check_pace(params.train, bodies)
    if modality is None and params.train.finetune and all(chosen.encoder for chosen in modalities.values()):
        raise WrongValue(
            "params.yaml: train.finetune fits encoders with the head, but every modality's is from elsewhere, which stay as"
            " they are: leave it []"
        )
    return dataclasses.replace(params, gate=_judging(params, plain.get("gate") or {}))


def _mapping(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    if not isinstance(value, dict) or not value:
        raise WrongValue(f"params.yaml: {key} must be a mapping with at least one entry, got {value!r}")
    for name in value:
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
            raise WrongValue(
                f"params.yaml: {key}.{name} is no usable name: lower case letters, digits and _, a letter first,"
                f" at most 32, and none of {', '.join(sorted(RESERVED))}"
            )
    return value


def _modality(name: str, body: Any) -> Modality:
    where = f"modalities.{name}"
    if not isinstance(body, dict) or "kind" not in body:
        raise WrongValue(f"params.yaml: {where} must be a mapping with `kind:`, one of {', '.join(KINDS)}")
    kind = body["kind"]
    if kind not in KINDS:
        raise UnknownName(f"kind in params.yaml: {where}.kind =", str(kind), KINDS)
    options = import_module(f"tasks.profile.{kind}").Options
    encoder = build(Source, body["encoder"], f"{where}.encoder") if "encoder" in body else None
    if encoder and kind not in FROM_ELSEWHERE:
        raise WrongValue(f"params.yaml: {where}.encoder: models from elsewhere are for {', '.join(FROM_ELSEWHERE)}, not {kind}")
    try:
        chosen = build(options, {k: v for k, v in body.items() if k not in {"kind", "encoder"}}, where)
    except WrongValue as error:
        said = str(error)
        raise error if where in said else WrongValue(f"params.yaml: {where}: {said}") from error
    return Modality(name, kind, chosen, encoder)


def _judging(params: Params, said: Mapping[str, Any]) -> Gate:
    """The gate with its target and metric named; what it needs is said where no default can know the unit."""
    gate = params.gate
    target = gate.target or next(iter(params.targets))
    kind = params.targets[target].type
    metric = gate.metric or METRICS[kind][0]
    if metric not in METRICS[kind]:
        raise unfit("gate.metric", metric, METRICS[kind], f"{target}, a {kind}")
    silent = [key for key in ("margin", "floor_over_prior") if key not in said]
    if metric.startswith(IN_UNITS) and silent:
        names = " and ".join(f"gate.{key}" for key in silent)
        raise WrongValue(f"params.yaml: gate.metric {metric} counts in the unit of {target}: say {names} in that unit")
    return dataclasses.replace(gate, target=target, metric=metric)


def _check_names(params: Params) -> None:
    for where, names in {"fusions": params.fusions, "train.finetune": params.train.finetune}.items():
        for name in names:
            if name not in FUSIONS:
                raise UnknownName("fusion in params.yaml:", name, FUSIONS)
        if len(set(names)) != len(names):
            raise WrongValue(f"params.yaml: {where} names one twice: {', '.join(names)}")
    if params.train.balance != "none" and all(target.type != "classification" for target in params.targets.values()):
        raise WrongValue("params.yaml: train.balance is for classes, and no target is a classification: leave it none")
    both = set(params.modalities) & set(params.targets)
    if both:
        raise WrongValue(f"params.yaml: {', '.join(sorted(both))} cannot be a modality and a target")
    if params.gate.target and params.gate.target not in params.targets:
        raise UnknownName("target in params.yaml: gate.target =", params.gate.target, params.targets)


def _check_inputs(params: Params) -> None:
    for modality in params.modalities.values():
        told = {*params.targets, "sample_id", "group", "split"} & set(getattr(modality.options, "columns", ()))
        if told:
            raise WrongValue(
                f"params.yaml: modalities.{modality.name} has the column {min(told)}, which is no input: a model that is given"
                " what it is asked for learns nothing"
            )
