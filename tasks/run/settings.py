"""Where things are: the only place that reads NIGHTLOOM_* variables that runs depend on.

variable               default                      what
NIGHTLOOM_HOME         .nightloom                   everything below, unless said otherwise
NIGHTLOOM_CENTRAL      <home>/central.git           path or URL of the repository that holds runs, `nightly`, the registry
NIGHTLOOM_GIT_USER     none                         the login at an http central: `reader`; `writer` where runs open and close
NIGHTLOOM_GIT_PASSWORD none                         its password
NIGHTLOOM_REMOTE       <home>/remote                DVC's remote: a folder or s3://bucket/prefix
NIGHTLOOM_CACHE        <home>/cache                 DVC's cache of this machine
NIGHTLOOM_MLFLOW       sqlite:///<home>/mlflow/…    MLflow's tracking URI
NIGHTLOOM_MLFLOW_URL   NIGHTLOOM_MLFLOW if http     where people see MLflow: what links in Airflow's UI lead to
NIGHTLOOM_LANDING      ingest.landing of params     where batches land; a relative path is below the checkout
NIGHTLOOM_SCORE_LANDING score.landing of params     where batches to be scored land; as NIGHTLOOM_LANDING
NIGHTLOOM_REVISIONS    *                            branches and tags whose history may be run: globs, by spaces or commas
NIGHTLOOM_SHARES       1                            workers that share a stage's raw partitions (read in dags/retrain.py)
NIGHTLOOM_SCHEDULE     0 2 * * *                    when a night starts by itself: a cron line, UTC (read in dags/retrain.py)
NIGHTLOOM_APPROVAL_HOURS 72                         how long a run waits for a person who must approve; then it promotes nothing

Who is told when nobody looks, on the workers that open and close runs; nothing set, nobody told:

NIGHTLOOM_SLACK_WEBHOOK none                        an incoming webhook of Slack, or of what takes the same: a secret
NIGHTLOOM_WEBHOOK      none                         an address that each notice is posted to as JSON: a secret
NIGHTLOOM_MAIL         none                         addresses, by spaces or commas; sent by Airflow's connection `smtp_default`
NIGHTLOOM_NOTICES      all                          which: failure promotion rejection approval drift, by spaces or commas

A store that is S3's but not Amazon's: AWS_ENDPOINT_URL, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION.
Where central is served (`python -m tasks.central`): NIGHTLOOM_READER_PASSWORD and NIGHTLOOM_WRITER_PASSWORD.
"""

import base64
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tasks.central.rights import Rights
from tasks.errors import UnknownName, WrongValue

EVENTS = ("failure", "promotion", "rejection", "approval", "drift")  # what people are told of
YEAR_HOURS = 8784


@dataclass(frozen=True)
class Settings:
    """One machine's view of where things are."""

    home: Path
    central: str
    remote: str
    cache: Path
    mlflow: str
    landing: str | None = None
    score_landing: str | None = None
    revisions: tuple[str, ...] = ("*",)
    s3_endpoint: str | None = None
    mlflow_url: str = ""  # empty: MLflow has no address for people

    @property
    def reports(self) -> Path:
        """Where the pages for people are: <home>/reports/<run>/index.html."""
        return self.home / "reports"


def settings() -> Settings:
    """Read the settings of this process.

    Raises:
        WrongValue: a login stands in NIGHTLOOM_CENTRAL.
    """
    home = Path(_said("NIGHTLOOM_HOME", ".nightloom")).expanduser().absolute()
    mlflow = os.environ.get("NIGHTLOOM_MLFLOW", f"sqlite:///{home}/mlflow/mlflow.db")
    return Settings(
        home=home,
        central=_central(home),
        remote=_place(_said("NIGHTLOOM_REMOTE", str(home / "remote"))),
        cache=Path(_said("NIGHTLOOM_CACHE", str(home / "cache"))).expanduser().absolute(),
        mlflow=mlflow,
        landing=os.environ.get("NIGHTLOOM_LANDING"),
        score_landing=os.environ.get("NIGHTLOOM_SCORE_LANDING"),
        revisions=tuple(re.split(r"[\s,]+", os.environ.get("NIGHTLOOM_REVISIONS", "*").strip(" ,\n"))),
        s3_endpoint=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None,
        mlflow_url=os.environ.get("NIGHTLOOM_MLFLOW_URL", mlflow if mlflow.startswith("http") else "").rstrip("/"),
    )


@dataclass(frozen=True)
class Channels:
    """Who is told, and of what; addresses of webhooks are secrets."""

    slack: str = field(default="", repr=False)
    webhook: str = field(default="", repr=False)
    mail: tuple[str, ...] = ()
    events: tuple[str, ...] = EVENTS


def channels() -> Channels:
    """Read who is told.

    Raises:
        WrongValue: a webhook is no http(s) address; it is not shown.
        UnknownName: NIGHTLOOM_NOTICES names what nobody is told of.
    """
    slack, webhook = os.environ.get("NIGHTLOOM_SLACK_WEBHOOK", ""), os.environ.get("NIGHTLOOM_WEBHOOK", "")
    for name, address in {"NIGHTLOOM_SLACK_WEBHOOK": slack, "NIGHTLOOM_WEBHOOK": webhook}.items():
        if address and not address.startswith(("http://", "https://")):
            raise WrongValue(f"{name} must be an address that begins with http:// or https://")
    events = _words(os.environ.get("NIGHTLOOM_NOTICES", "")) or EVENTS
    for event in events:
        if event not in EVENTS:
            raise UnknownName("notice in NIGHTLOOM_NOTICES:", event, EVENTS)
    return Channels(slack, webhook, _words(os.environ.get("NIGHTLOOM_MAIL", "")), events)


def approval_hours() -> float:
    """How long a run waits for a person.

    Raises:
        WrongValue: it is no time.
    """
    text = os.environ.get("NIGHTLOOM_APPROVAL_HOURS", "72")
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= YEAR_HOURS:  # also what is no number
        raise WrongValue(f"NIGHTLOOM_APPROVAL_HOURS must be hours, above 0 and at most a year's {YEAR_HOURS}, got {text!r}")
    return hours


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[\s,]+", text) if word)


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
    central = _said("NIGHTLOOM_CENTRAL", str(home / "central.git"))
    if central.startswith(("http://", "https://")) and "@" in urlsplit(central).netloc:
        raise WrongValue(
            "NIGHTLOOM_CENTRAL holds a login, which would be seen in logs: put it into NIGHTLOOM_GIT_USER and"
            " NIGHTLOOM_GIT_PASSWORD"
        )
    return _place(central)


def _place(where: str) -> str:
    """A URL or `host:path` as it is, a path made absolute: tasks work in other folders."""
    return where if elsewhere(where) else str(Path(where).expanduser().absolute())


def _said(name: str, otherwise: str) -> str:
    """A variable; one that is empty says nothing."""
    return os.environ.get(name) or otherwise


def elsewhere(where: str) -> bool:
    """Whether a repository or a remote is a URL or `host:path`, as git takes them, and no path of this machine."""
    return re.match(r"[\w.+-]+://|[\w.@-]+:", where) is not None
