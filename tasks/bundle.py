"""A bundle: everything that is needed to predict from raw inputs, as safetensors and JSON; nothing in it is executed.

    bundle.json             {"modalities": {m: {"kind", "options"}}, "targets": {t: {"type", "classes"}}, "candidate": name}
    calibration.json        {"temperature": {target: T}}; bundles from before there were any have none, which is as good as 1
    encoders/<m>/           weights.safetensors, encoder.json
    fusion/                 candidate.json, weights.safetensors; late fusion carries its parts as alone-<m>/ inside
    fusion/domains/         domains.json, weights.safetensors; where features are standardised by their sample's domain

Every modality is optional at prediction: what is not given is missing. So is the domain.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.calibration import RANGE, all_tempered
from tasks.errors import ContractBroken, NoData, UnknownName
from tasks.extract import Loaded, load_encoder
from tasks.features import Features
from tasks.files import read_json
from tasks.params import KINDS, NAME
from tasks.targets import Output
from tasks.train.candidates import Candidate, load_candidate
from tasks.train.domains import FILES, FOLDER, Domains
from tasks.train.neural import Answers

CALIBRATION = "calibration.json"
KEYS = {"modalities", "targets", "candidate"}


@dataclass(frozen=True)
class Bundle:
    """A model that predicts.

    Attributes:
        folder: where it lies.
        kinds: modality -> kind.
        targets: target -> what is answered for it.
        candidate: the fitted head.
        domains: what is known of the sites or devices that samples come from.
        temperature: by target, what its probabilities are calibrated with; 1 where none is named.
        encoders: those that were needed so far, loaded once.
    """

    folder: Path
    kinds: dict[str, str]
    targets: dict[str, Output]
    candidate: Candidate
    domains: Domains = field(default_factory=Domains, repr=False)
    temperature: dict[str, float] = field(default_factory=dict)
    encoders: dict[str, Loaded] = field(default_factory=dict, repr=False, compare=False)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that it uses, sorted."""
        return tuple(sorted(self.kinds))

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """Read a bundle after checking its list of files, keys and shapes.

        Raises:
            NoData: the folder is absent or empty.
            ContractBroken: a file or key is missing, unknown or does not fit the others.
        """
        if not folder.is_dir() or not any(folder.iterdir()):
            raise NoData(f"{folder} holds no bundle: `dvc pull {folder}`")
        described = _described(folder)
        modalities = {m: body["kind"] for m, body in described["modalities"].items()}
        _check_files(folder, tuple(sorted(modalities)))
        candidate = load_candidate(folder / "fusion")
        card = candidate.card
        if (card.name, card.targets, set(card.modalities)) != (described["candidate"], described["targets"], set(modalities)):
            raise ContractBroken(
                f"{folder}: bundle.json and fusion/candidate.json name other modalities, targets or candidates"
            )
        for m, width in card.widths.items():
            encoder = read_json(folder / "encoders" / m / "encoder.json")
            if not isinstance(encoder, dict) or (encoder.get("kind"), encoder.get("width")) != (modalities[m], width):
                raise ContractBroken(f"{folder / 'encoders' / m} must be of kind {modalities[m]} and width {width}")
        domains, temperature = Domains.load(folder / "fusion", card), _temperatures(folder, card.outputs)
        return cls(folder, modalities, card.outputs, candidate, domains, temperature)

    def predict(self, features: Mapping[str, Features], domain: Sequence[str] | None = None) -> Answers:
        """Per target probabilities float64 [n, classes] or values [n, 1], from the features of this bundle's own encoders.

        Args:
            features: modality -> features of the same n samples.
            domain: the samples' n domains, "" where one is not known; None: of none. Unknown names are taken for that too.

        Raises:
            UnknownName: a modality that the bundle does not have.
            ContractBroken: features of another width, or of unequal length.
        """
        self._check_names(features)
        answers = self.candidate.predict(self.domains.normalised(features, domain))
        return all_tempered(answers, self.targets, self.temperature)

    def predict_raw(self, raw: Mapping[str, Sequence[bytes | None]], domain: Sequence[str] | None = None) -> Answers:
        """Per target probabilities float64 [n, classes] or values [n, 1], from raw bytes.

        None, and what cannot be decoded, is missing.

        Args:
            raw: modality -> n items, as in data/1_raw/<modality>: a file's bytes, UTF-8 text, or JSON of a table's cells.
            domain: as in `predict`.
        """
        self._check_names(raw)
        return self.predict({m: self.encode(m, items) for m, items in sorted(raw.items())}, domain)

    def encode(self, modality: str, items: Sequence[bytes | None]) -> Features:
        """Features of one modality by the bundle's own encoder, row by row."""
        self._check_names([modality])
        if modality not in self.encoders:
            self.encoders[modality] = load_encoder(self.folder / "encoders" / modality)
        features: Features = self.encoders[modality].encode(list(items))
        return features

    def _check_names(self, names: Sequence[str] | Mapping[str, Any]) -> None:
        for name in names:
            if name not in self.kinds:
                raise UnknownName("modality", name, self.kinds)


def _described(folder: Path) -> dict[str, Any]:
    """The content of bundle.json, its names checked."""
    path = folder / "bundle.json"
    described = read_json(path)
    if not isinstance(described, dict) or set(described) != KEYS:
        raise ContractBroken(f"{path} must hold exactly the keys {', '.join(sorted(KEYS))}")
    modalities = described["modalities"]
    if not isinstance(modalities, dict) or not modalities:
        raise ContractBroken(f"{path}: modalities must be a mapping with at least one entry")
    for name, body in modalities.items():
        whole = isinstance(body, dict) and set(body) == {"kind", "options"} and body["kind"] in KINDS
        if not NAME.fullmatch(name) or not whole:
            raise ContractBroken(f"{path}: modality {name!r} must be a name with a kind ({', '.join(KINDS)}) and options")
    return described


def _temperatures(folder: Path, targets: Mapping[str, Output]) -> dict[str, float]:
    """What calibration.json says, checked."""
    path = folder / CALIBRATION
    if not path.is_file():
        return {}
    said = read_json(path)
    found = said.get("temperature") if isinstance(said, dict) and set(said) == {"temperature"} else None
    wanted = {target for target, output in targets.items() if not output.is_number}
    low, high = RANGE
    if (
        not isinstance(found, dict)
        or not set(found) <= wanted
        or not all(_between(low, value, high) for value in found.values())
    ):
        raise ContractBroken(
            f"{path} must hold a temperature from {low:g} to {high:g} of {', '.join(sorted(wanted)) or 'nothing'}"
        )
    return found


def _between(low: float, value: Any, high: float) -> bool:
    return type(value) is float and low <= value <= high


def _check_files(folder: Path, modalities: Sequence[str]) -> None:
    """Refuse links, and any file but those that a bundle of these modalities has."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}
    found -= {CALIBRATION} if not (folder / CALIBRATION).is_symlink() else set()
    links = sorted(name for name in found if (folder / name).is_symlink())
    one, late = set(_files(modalities, [""])), set(_files(modalities, [f"/alone-{m}" for m in modalities]))
    if (folder / "fusion" / FOLDER).is_dir():
        one, late = ({*wanted, *(f"fusion/{name}" for name in FILES)} for wanted in (one, late))
    if links or found not in (one, late | {"fusion/candidate.json"}):
        other = links or sorted(found ^ (late if any(name.startswith("fusion/alone-") for name in found) else one))
        raise ContractBroken(
            f"{folder} is no bundle of {', '.join(modalities)}: missing, unknown or linked: {', '.join(other)}"
        )


def _files(modalities: Sequence[str], heads: Sequence[str]) -> Iterator[str]:
    yield "bundle.json"
    for m in modalities:
        yield from (f"encoders/{m}/encoder.json", f"encoders/{m}/weights.safetensors")
    for head in heads:
        yield from (f"fusion{head}/candidate.json", f"fusion{head}/weights.safetensors")
