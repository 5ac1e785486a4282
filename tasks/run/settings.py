"""Where things are: the only place that reads NIGHTLOOM_* variables that runs depend on.

variable               default                      what
NIGHTLOOM_HOME         .nightloom                   everything below, unless said otherwise
NIGHTLOOM_CENTRAL      <home>/central.git           path or URL of the repository that holds runs, `nightly`, the registry
NIGHTLOOM_GIT_USER     none                         the login at an http central: `reader`; `writer` where runs open and close
NIGHTLOOM_GIT_PASSWORD none                         its password
NIGHTLOOM_REMOTE       <home>/remote                DVC's remote: a folder or s3://bucket/prefix
NIGHTLOOM_CACHE        <home>/cache                 DVC's cache of this machine
NIGHTLOOM_MLFLOW       sqlite:///<home>/mlflow/…    MLflow's tracking URI
NIGHTLOOM_LANDING      ingest.landing of params     where batches land; a relative path is below the checkout
NIGHTLOOM_REVISIONS    *                            branches and tags whose history may be run: globs, by spaces or commas
NIGHTLOOM_SHARES       1                            workers that share a stage's raw partitions (read in dags/retrain.py)
NIGHTLOOM_SCHEDULE     0 2 * * *                    when a night starts by itself: a cron line, UTC (read in dags/retrain.py)

A store that is S3's but not Amazon's: AWS_ENDPOINT_URL, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION.
Where central is served (`python -m tasks.central`): NIGHTLOOM_READER_PASSWORD and NIGHTLOOM_WRITER_PASSWORD.
"""

import base64
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tasks.central.rights import Rights
from tasks.errors import WrongValue


@dataclass(frozen=True)
class Settings:
    """One machine's view of where things are."""

    home: Path
    central: str
    remote: str
    cache: Path
    mlflow: str
    landing: str | None = None
    revisions: tuple[str, ...] = ("*",)
    s3_endpoint: str | None = None

    @property
    def reports(self) -> Path:
        """Where the pages for people are: <home>/reports/<run>/index.html."""
        return self.home / "reports"


def settings() -> Settings:
    """Read the settings of this process.

    Raises:
        WrongValue: a login stands in NIGHTLOOM_CENTRAL.
    """
    home = Path(os.environ.get("NIGHTLOOM_HOME", ".nightloom")).absolute()
    return Settings(
        home=home,
        central=_central(home),
        remote=_place(os.environ.get("NIGHTLOOM_REMOTE", str(home / "remote"))),
        cache=Path(os.environ.get("NIGHTLOOM_CACHE", home / "cache")).absolute(),
        mlflow=os.environ.get("NIGHTLOOM_MLFLOW", f"sqlite:///{home}/mlflow/mlflow.db"),
        landing=os.environ.get("NIGHTLOOM_LANDING"),
        revisions=tuple(re.split(r"[\s,]+", os.environ.get("NIGHTLOOM_REVISIONS", "*").strip(" ,\n"))),
        s3_endpoint=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None,
    )


def rights() -> Rights:
    """The passwords that a served central asks for.

    Raises:
        WrongValue: one is absent or short.
    """
    return Rights(os.environ.get("NIGHTLOOM_READER_PASSWORD", ""), os.environ.get("NIGHTLOOM_WRITER_PASSWORD", ""))


def git_login() -> dict[str, str]:
    """Git's configuration, as variables, that logs in at an http(s) central and nowhere else; empty when there is no login."""
    user, password = os.environ.get("NIGHTLOOM_GIT_USER", ""), os.environ.get("NIGHTLOOM_GIT_PASSWORD", "")
    central = os.environ.get("NIGHTLOOM_CENTRAL", "")
    if not user or not central.startswith(("http://", "https://")):
        return {}
    code = base64.b64encode(f"{user}:{password}".encode()).decode()
    options = {
        f"http.{central}.extraHeader": f"Authorization: Basic {code}",
        f"http.{central}.followRedirects": "false",  # the login goes to central alone
        "credential.helper": "",
    }
    numbered = {"GIT_CONFIG_COUNT": str(len(options))}
    for number, (key, value) in enumerate(options.items()):
        numbered |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return numbered


def _central(home: Path) -> str:
    central = os.environ.get("NIGHTLOOM_CENTRAL", str(home / "central.git"))
    if central.startswith(("http://", "https://")) and "@" in urlsplit(central).netloc:
        raise WrongValue(
            "NIGHTLOOM_CENTRAL holds a login, which would be seen in logs: put it into NIGHTLOOM_GIT_USER and"
            " NIGHTLOOM_GIT_PASSWORD"
        )
    return _place(central)


def _place(where: str) -> str:
    """A URL or `host:path` as it is, a path made absolute: tasks work in other folders."""
    return where if re.match(r"[\w.+-]+://|[\w.@-]+:", where) else str(Path(where).absolute())
