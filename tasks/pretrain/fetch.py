"""Fetch an encoder from elsewhere: a Hugging Face model at its pinned revision, in place of one that is fitted.

Weights are read from safetensors alone, and no code of a model is run. The hub is asked only where HF_HUB_OFFLINE=0; what was
fetched is kept whole in the encoder's own two files, so that nobody is asked again.
"""

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import nn

from tasks.errors import ContractBroken, NoData, WrongValue
from tasks.extract.hub import CONFIG, Network, Preparation, processor_of, tower_of
from tasks.files import file_digest
from tasks.params import Modality, Source

WEIGHTS = "model.safetensors"
KEPT = ("*.json", "*.txt", "*.safetensors")  # of a repository: never its code, never a pickle


def fetch(modality: Modality, source: Source) -> tuple[dict[str, Any], int, nn.Module]:
    """Get a model at its revision, and find out what it makes of a sample.

    Returns:
        facts (the files of its configuration and preparation, how many tokens it has of a sample), width of a token, network.

    Raises:
        NoData: it is neither here nor may it be fetched.
        WrongValue: another revision, or a sample rate that the model was not trained with.
        ContractBroken: no model of this kind, or none with safetensors.
    """
    from transformers import AutoModel

    with _told(modality.name, source):
        folder = _folder(modality.name, source)
        only = {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
        model, found = AutoModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **only)
        _check_whole(model, tower_of(model, modality.kind), found["missing_keys"])
        processor = processor_of(folder, modality.kind)
        _check_rate(modality, source, processor)
        files = {**_files(processor), CONFIG: model.config.to_json_string(use_diff=False)}
        facts: dict[str, Any] = {"files": files, "length": 0}
        network = Network(tower_of(model, modality.kind), source.tokens).eval()
        kind = Preparation(modality.kind, source, facts)
        inputs = kind.inputs(_example(modality), modality.options)
        with torch.inference_mode():
            hidden = network.hidden({key: torch.from_numpy(value).unsqueeze(0) for key, value in inputs.items()})
    facts["length"] = hidden.shape[1]
    return facts, hidden.shape[2], network


def _check_whole(model: nn.Module, tower: nn.Module, missing: Collection[str]) -> None:
    """Refuse a model that lacks weights, which would be drawn at random; a pooler's are not looked at and become 0.

    Raises:
        ContractBroken: it lacks others.
    """
    every = model.state_dict(keep_vars=True)
    own = {id(values) for values in tower.state_dict(keep_vars=True).values()}
    for name in sorted(name for name in missing if name in every and id(every[name]) in own):
        if "pooler" not in name.split("."):
            raise ContractBroken(f"it has no weights {name}: another model's files?")
        with torch.no_grad():
            every[name].zero_()


def _check_rate(modality: Modality, source: Source, processor: Any) -> None:
    if modality.kind == "audio" and processor.sampling_rate != modality.options.sample_rate_hz:
        raise WrongValue(
            f"params.yaml: modalities.{modality.name}.sample_rate_hz must be {processor.sampling_rate}, what {source.model} was"
            f" trained with, got {modality.options.sample_rate_hz}"
        )


def _folder(name: str, source: Source) -> Path:
    """Where the model's files are, held against the revision."""
    if source.local:
        return _checked(name, source, Path(source.model))
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    offline = os.environ.get("HF_HUB_OFFLINE", "1") != "0"
    only: dict[str, Any] = {"allow_patterns": list(KEPT), "ignore_patterns": ["*/*"], "local_files_only": offline}
    try:
        return Path(snapshot_download(source.model, revision=source.revision, **only))
    except LocalEntryNotFoundError as error:
        how = "set HF_HUB_OFFLINE=0 to fetch it" if offline else "the hub does not answer"
        raise NoData(f"modality {name}: {source.model} at {source.revision} is not in this machine's cache: {how}") from error
    except HfHubHTTPError as error:
        raise NoData(f"modality {name}: the hub has no {source.model} at {source.revision}: {_line(error)}") from error


def _checked(name: str, source: Source, folder: Path) -> Path:
    """A folder whose files have the digest that is its revision."""
    if not (folder / WEIGHTS).is_file():
        raise NoData(f"modality {name}: {folder / WEIGHTS} is not here: save the model with safetensors, in one file")
    files = sorted(path for pattern in KEPT for path in folder.glob(pattern))
    found = hashlib.sha256("".join(f"{file_digest(path, 'sha256')} {path.name}\n" for path in files).encode()).hexdigest()
    if found != source.revision:
        raise WrongValue(
            f"params.yaml: modalities.{name}.encoder.revision is not that of {folder}: its files are {found}; set this if they"
            " are the ones you mean"
        )
    return folder


@contextmanager
def _told(name: str, source: Source) -> Iterator[None]:
    try:
        yield
    except ContractBroken as error:
        raise ContractBroken(f"modality {name}: {source.model} cannot be used as its encoder: {error}") from error
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        ImportError,
        RuntimeError,
        IndexError,
        SafetensorError,
    ) as error:
        raise ContractBroken(f"modality {name}: {source.model} cannot be used as its encoder: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _files(processor: Any) -> dict[str, str]:
    """The JSON files that a processor is made of."""
    with tempfile.TemporaryDirectory() as folder:
        processor.save_pretrained(folder)
        return {path.name: path.read_text() for path in sorted(Path(folder).glob("*.json"))}


def _example(modality: Modality) -> npt.NDArray[Any]:
    """A decoded sample with nothing in it, of the length that options allow."""
    options = modality.options
    if modality.kind == "image":
        return np.zeros((options.side_px, options.side_px, options.channels), np.uint8)
    if modality.kind == "video":
        return np.zeros((options.most, options.side_px, options.side_px, options.channels), np.float32)
    if modality.kind == "text":
        return np.full(1, ord("a"), np.int32)
    return np.zeros(max(1, round(options.max_s * options.sample_rate_hz)), np.float32)
