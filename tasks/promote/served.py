"""What MLflow runs: a bundle that predicts from raw inputs, `mlflow.pyfunc.load_model("models:/fused-model@champion")`.

This file is the model's code in MLflow's models-from-code form: weights are safetensors, nothing is pickled. A row of the
input is a row of metadata.csv: `<m>_file_name` (a path that can be opened here), or `<m>` with bytes, with a text, or with the
base64 of what is no text, as JSON has no bytes; or the columns of a tabular modality. A modality whose columns are absent or
empty is missing. The column that names a sample's domain may be there for a model that knows several.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


class Served(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # mlflow has no types
    """A bundle behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Load the bundle; the code of its own version lies beside it."""
        from tasks.bundle import Bundle

        folder = Path(context.artifacts["bundle"])
        self.facts: Mapping[str, Any] = json.loads((folder / "bundle.json").read_text())
        self.bundle = Bundle.load(folder)
        domains = folder / "fusion" / "domains" / "domains.json"
        self.domain = json.loads(domains.read_text())["column"] if domains.is_file() else ""

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Predict each target of each row.

        Returns:
            Per target: `<target>`, the class, and a probability `<target>__<class>` per class; of several labels those that
            are as likely as not, by `|`; or the value in the unit of metadata.csv. The index is the input's.
        """
        table = pd.DataFrame(model_input)
        raw = {name: _column(table, name, body) for name, body in self.facts["modalities"].items()}
        columns: dict[str, Any] = {}
        for target, answer in self.bundle.predict_raw(raw, **self._told(table)).items():
            classes = self.facts["targets"][target]["classes"]
            if self.facts["targets"][target]["type"] == "regression":
                columns[target] = answer[:, 0]
            elif self.facts["targets"][target]["type"] == "multilabel":
                columns[target] = ["|".join(classes[i] for i in (row >= 0.5).nonzero()[0]) or "|" for row in answer]
            else:
                columns[target] = [classes[best] for best in answer.argmax(axis=1)]
            columns |= {f"{target}__{name}": answer[:, i] for i, name in enumerate(classes)}
        return pd.DataFrame(columns, index=table.index)

    def _told(self, table: pd.DataFrame) -> dict[str, Any]:
        """The domain of each row, text as in metadata.csv, "" where it is not given.

        Nothing where the model, maybe an older one, knows no domains.
        """
        if not self.domain or self.domain not in table:
            return {}
        return {"domain": [(_text(cell) or "").strip() for cell in table[self.domain]]}


def _column(table: pd.DataFrame, name: str, body: Mapping[str, Any]) -> list[bytes | None]:
    """One modality of all rows, as the bytes that ingest would have stored."""
    if body["kind"] == "tabular":
        parts = ("numbers", "categories", "times", "tracks")  # an older model's options have no times and tracks
        wanted = sorted({column for part in parts for column in body["options"].get(part, ())})
        cells = table.reindex(columns=wanted).astype(object)
        return [_cells(dict(zip(wanted, row, strict=True))) for row in cells.itertuples(index=False, name=None)]
    paths = table.get(f"{name}_file_name", pd.Series(None, table.index, dtype=object))
    inline = table.get(name, pd.Series(None, table.index, dtype=object))
    text = body["kind"] == "text"
    return [_bytes(name, value, path, text) for value, path in zip(inline, paths, strict=True)]


def _bytes(name: str, value: Any, path: Any, text: bool) -> bytes | None:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, str) and value.strip():
        return value.encode() if text else _decoded(name, value)
    return _read(name, path) if isinstance(path, str) and path else None


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        told = f"{name}_file_name holds {path[:200]!r}, which cannot be read where the model is served: {error.strerror}"
        raise mlflow.MlflowException.invalid_parameter_value(told) from error


def _decoded(name: str, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:
        told = f"{name} holds {value[:20]!r}…, no base64; a file's path goes into {name}_file_name"
        raise mlflow.MlflowException.invalid_parameter_value(told) from error  # the one kind whose words its server passes on


def _cells(row: Mapping[str, Any]) -> bytes | None:
    """A row of a tabular modality: canonical JSON of text cells, null when empty."""
    cells = {name: _text(cell) for name, cell in row.items()}
    if all(cell is None for cell in cells.values()):
        return None
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":")).encode()


def _text(cell: Any) -> str | None:
    if pd.isna(cell) or not str(cell).strip():
        return None
    whole = isinstance(cell, float) and cell.is_integer()  # pandas makes 7 a 7.0 when another row is empty
    return str(int(cell)) if whole else str(cell)


mlflow.models.set_model(Served())
