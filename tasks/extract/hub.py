"""Encoders from elsewhere: what a Hugging Face model of images, text, sound or clips makes of a sample; it is frozen.

All that it needs is in the encoder's own two files, where `pretrain` has put it (tasks/pretrain/fetch.py).
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.errors import ContractBroken
from tasks.params import Source
from tasks.profile import kind_module

CONFIG = "config.json"
TOWER = {"image": "vision_model", "text": "text_model", "audio": "audio_model", "video": "vision_model"}  # of a model of two
Inputs = dict[str, npt.NDArray[Any]]


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
            self.processor = processor_of(folder, kind)

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
        return Network(tower_of(model, self.kind), self.source.tokens)


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


def tower_of(model: nn.Module, kind: str) -> nn.Module:
    """The part of a model that looks at this kind: of a model of two towers one, of an encoder with a decoder the encoder."""
    if hasattr(model, TOWER[kind]):
        tower: nn.Module = getattr(model, TOWER[kind])
        return tower
    if getattr(model.config, "is_encoder_decoder", False):
        encoder: nn.Module = model.get_encoder()  # type: ignore[operator]
        return encoder
    return model


def processor_of(folder: Path, kind: str) -> Any:
    """A model's own preparation, from the files in a folder; none of its code is run."""
    from transformers import AutoFeatureExtractor, AutoImageProcessor, AutoTokenizer

    auto = {"text": AutoTokenizer, "audio": AutoFeatureExtractor}.get(kind, AutoImageProcessor)
    processor = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if kind == "text" and processor.pad_token is None:
        processor.pad_token = processor.eos_token
    return processor


@contextmanager
def _unpacked(files: Mapping[str, Any]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / Path(name).name).write_text(content)
        yield Path(folder)
