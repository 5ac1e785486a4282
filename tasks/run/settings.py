"""Where things are: the only place that reads NIGHTLOOM_* variables.

variable             default                      what
NIGHTLOOM_HOME       .nightloom                   everything below, unless said otherwise
NIGHTLOOM_CENTRAL    <home>/central.git           the bare repository that holds runs, `nightly` and the registry
NIGHTLOOM_REMOTE     <home>/remote                DVC's remote: a folder or s3://bucket/prefix
NIGHTLOOM_CACHE      <home>/cache                 DVC's cache of this machine
NIGHTLOOM_MLFLOW     sqlite:///<home>/mlflow/…    MLflow's tracking URI
NIGHTLOOM_SHARES     1                            workers that share a stage's raw partitions (read in dags/)
NIGHTLOOM_LANDING    ingest.landing of params     where batches land; a relative path is below the checkout
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """One machine's view of where things are."""

    home: Path
    central: str
    remote: str
    cache: Path
    mlflow: str
    landing: str | None = None

    @property
    def reports(self) -> Path:
        """Where the pages for people are: <home>/reports/<run>/index.html."""
        return self.home / "reports"


def settings() -> Settings:
    """Read the settings of this process."""
    home = Path(os.environ.get("NIGHTLOOM_HOME", ".nightloom")).absolute()
    return Settings(
        home=home,
        central=os.environ.get("NIGHTLOOM_CENTRAL", str(home / "central.git")),
        remote=os.environ.get("NIGHTLOOM_REMOTE", str(home / "remote")),
        cache=Path(os.environ.get("NIGHTLOOM_CACHE", home / "cache")).absolute(),
        mlflow=os.environ.get("NIGHTLOOM_MLFLOW", f"sqlite:///{home}/mlflow/mlflow.db"),
        landing=os.environ.get("NIGHTLOOM_LANDING"),
    )
