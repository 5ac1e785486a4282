"""Encoders from elsewhere: a Hugging Face model of images, text, sound or clips, frozen, with its own preparation.

`pretrain` brings one at its pinned revision; all that it needs is kept in the encoder's own two files: a bundle asks nobody.
Weights are read from safetensors alone, and no code of a model is run. The hub is asked only where HF_HUB_OFFLINE=0.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from tasks.errors import ContractBroken, NoData, WrongValue
from tasks.files import file_digest
from tasks.params import Modality, Source
from tasks.profile import kind_module

CONFIG, WEIGHTS = "config.json", "model.safetensors"
KEPT = ("*.json", "*.txt", "*.safetensors")  # of a repository: never its code, never a pickle
TOWER = {"image": "vision_model", "text": "text_model", "audio": "audio_model", "video": "vision_model"}  # of a model of two
Inputs = dict[str, npt.NDArray[Any]]


def bring(modality: Modality, source: Source) -> tuple[dict[str, Any], int, nn.Module]:
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
        _check_whole(model, _tower(model, modality.kind), found["missing_keys"])
        processor = _processor(folder, modality.kind)
        _check_rate(modality, source, processor)
        files = {**_files(processor), CONFIG: model.config.to_json_string(use_diff=False)}
        facts: dict[str, Any] = {"files": files, "length": 0}
        network = Network(_tower(model, modality.kind), source.tokens).eval()
        kind = Preparation(modality.kind, source, facts)
        inputs = kind.inputs(_example(modality), modality.options)
        with torch.inference_mode():
            hidden = network.hidden({key: torch.from_numpy(value).unsqueeze(0) for key, value in inputs.items()})
    facts["length"] = hidden.shape[1]
    return facts, hidden.shape[2], network


class Preparation:
    """What a kind's module is to our own encoders: `token_count`, `prepare`, `Encoder`."""

    def __init__(self, kind: str, source: Source, facts: Mapping[str, Any]) -> None:
        """Load the model's own processor from `facts`.

        Raises:
            OSError, KeyError: they hold none.
        """
        self.kind, self.source, self.facts = kind, source, facts
        self.config = json.loads(facts["files"][CONFIG])
        with _unpacked(facts["files"]) as folder:
            self.processor = _processor(folder, kind)

    def token_count(self, options: Any) -> int:
        """Tokens of a sample: those that the model has, averaged to at most `encoder.tokens`."""
        return min(int(self.facts["length"]), self.source.tokens)

    def inputs(self, array: npt.NDArray[Any], options: Any) -> Inputs:
        """One decoded sample as the model's processor has it, without the axis of a batch."""
        ways: dict[str, Callable[[npt.NDArray[Any], Any], Mapping[str, Any]]] = {
            "image": self._of_image,
            "text": self._of_text,
            "audio": self._of_audio,
            "video": self._of_video,
        }
        found = ways[self.kind](array, options)
        if any(len(value) != 1 for value in found.values()):
            raise ContractBroken(f"{self.source.model} takes one {self.kind} for several: it is a model of another kind")
        return {key: np.asarray(value)[0] for key, value in found.items()}

    def _of_image(self, array: npt.NDArray[np.uint8], options: Any) -> Mapping[str, Any]:
        return dict(self.processor(images=[_rgb(array)], return_tensors="np", input_data_format="channels_last"))

    def _of_video(self, array: npt.NDArray[np.float32], options: Any) -> Mapping[str, Any]:
        wanted = int(self.config.get("num_frames") or options.most)
        rows = np.linspace(0, len(array) - 1, wanted).round().astype(int)
        frames = _rgb(array[rows].clip(0, 255).round().astype(np.uint8))
        return dict(self.processor(list(frames), return_tensors="np", input_data_format="channels_last"))

    def _of_text(self, array: npt.NDArray[np.int32], options: Any) -> Mapping[str, Any]:
        text, length = kind_module("text").as_text(array), self.source.pieces
        return dict(self.processor([text], padding="max_length", truncation=True, max_length=length, return_tensors="np"))

    def _of_audio(self, array: npt.NDArray[np.float32], options: Any) -> Mapping[str, Any]:
        rate = options.sample_rate_hz
        if self.processor.model_input_names[0] != "input_values":  # Whisper and the like: spectra of a window of their own
            return dict(self.processor([array], sampling_rate=rate, return_tensors="np"))
        most = max(1, round(options.max_s * rate))
        fixed = {"padding": "max_length", "max_length": most, "truncation": True}
        return dict(self.processor([array], sampling_rate=rate, return_tensors="np", **fixed))

    def prepare(self, array: npt.NDArray[Any], options: Any, facts: Mapping[str, Any]) -> Inputs:
        """What the network takes, with `mask` bool [t] and `time` float32 [t] (s; 0 where tokens do not run along time)."""
        inputs, count = self.inputs(array, options), self.token_count(options)
        there, seconds = np.ones(count, np.bool_), 0.0
        if self.kind == "text":
            there = _shares(np.asarray(inputs["attention_mask"], np.float64), int(self.facts["length"]), count) > 0
        elif self.kind == "video":
            seconds = len(array) / options.rate_hz
        elif _runs_along_time(self.config):
            seconds = float(getattr(self.processor, "chunk_length", options.max_s))
            there = np.arange(count) < max(1, np.ceil(count * len(array) / options.sample_rate_hz / seconds))
        return {**inputs, "mask": there, "time": ((np.arange(count) + 0.5) * seconds / count).astype(np.float32)}

    def Encoder(self, options: Any, facts: Mapping[str, Any], width: int, dropout: float) -> nn.Module:  # noqa: N802
        """The network without its weights."""
        from transformers import AutoConfig, AutoModel

        with _unpacked(facts["files"]) as folder:
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = AutoModel.from_config(config, trust_remote_code=False)
        return Network(_tower(model, self.kind), self.source.tokens)


class Network(nn.Module):
    """The model, or the part of it that looks at this kind; neighbouring tokens are averaged to at most so many."""

    def __init__(self, tower: nn.Module, tokens: int) -> None:
        """Take the part that computes."""
        super().__init__()
        self.tower, self.tokens = tower, tokens

    def hidden(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The model's last hidden state, float32 [b, length, width]; a map [b, width, rows, columns] row by row."""
        found: Tensor = self.tower(**inputs).last_hidden_state
        return found.flatten(2).transpose(1, 2) if found.ndim == 4 else found

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """What `Preparation.prepare` gives, in a batch -> tokens float32 [b, t, width]."""
        known = {key: values for key, values in inputs.items() if key not in {"mask", "time"}}
        hidden = self.hidden(known)
        there = known.get("attention_mask")
        if there is None or there.shape != hidden.shape[:2]:  # a mask of samples says nothing of tokens
            there = hidden.new_ones(hidden.shape[:2])
        count = min(self.tokens, hidden.shape[1])
        weights = there.to(hidden.dtype).unsqueeze(-1)
        sums = [(h * w).sum(1) for h, w in zip(*(x.tensor_split(count, dim=1) for x in (hidden, weights)), strict=True)]
        counts = [w.sum(1).clamp(min=1) for w in weights.tensor_split(count, dim=1)]
        return torch.stack([total / number for total, number in zip(sums, counts, strict=True)], dim=1)


def _shares(there: npt.NDArray[np.float64], length: int, count: int) -> npt.NDArray[np.float64]:
    """How much of each group of neighbours is there."""
    whole = there if len(there) == length else np.ones(length)
    return np.array([part.sum() for part in np.array_split(whole, count)])


def _rgb(array: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.repeat(array, 3, axis=-1) if array.shape[-1] == 1 else array


def _runs_along_time(config: Mapping[str, Any]) -> bool:
    return "conv_stride" in config or config.get("model_type") == "whisper"


def _tower(model: nn.Module, kind: str) -> nn.Module:
    """The part that looks at this kind: of a model of two towers one, of an encoder with a decoder the encoder."""
    if hasattr(model, TOWER[kind]):
        tower: nn.Module = getattr(model, TOWER[kind])
        return tower
    if getattr(model.config, "is_encoder_decoder", False):
        encoder: nn.Module = model.get_encoder()  # type: ignore[operator]
        return encoder
    return model


def _processor(folder: Path, kind: str) -> Any:
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer

    auto = {"text": AutoTokenizer, "audio": AutoFeatureExtractor}.get(kind, AutoImageProcessor)
    processor = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if kind == "text" and processor.pad_token is None:
        processor.pad_token = processor.eos_token
    return processor


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


@contextmanager
def _unpacked(files: Mapping[str, Any]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / Path(name).name).write_text(content)
        yield Path(folder)


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
