"""Once, before a cluster's services start: databases, bucket, login, pool, and the code in central.

`python -m tasks.cluster.start`, in the checkout whose commit is to run. Each step leaves what is there as it is, so doing it
again is safe; that is also how a new commit is deployed.

variable                    what
NIGHTLOOM_ADMIN_PASSWORD    of Airflow's user `admin`; set anew each time
NIGHTLOOM_GPUS              how many tasks of the pool `gpu` may run at once: one per GPU; 1 unless set
MLFLOW_BACKEND_STORE_URI    MLflow's database, made with the login in it

The rest is in tasks/run/settings.py; central must take the login that is set, which must be `writer`.
"""

import os
import sys
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from tasks.errors import TasksError, WrongValue
from tasks.run.git import git
from tasks.run.settings import Settings, settings

USER = "admin"


def start(root: Path) -> None:
    """Do all of it, a line for each step.

    Args:
        root: the checkout.

    Raises:
        TasksError: a setting is absent, or central refuses the push.
    """
    s = settings()
    admin = _needed("NIGHTLOOM_ADMIN_PASSWORD")
    make_database(_needed("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"), _needed("MLFLOW_BACKEND_STORE_URI"))
    print(f"bucket {make_bucket(s)}", flush=True)
    airflow("db", "migrate")
    airflow("pools", "set", "gpu", os.environ.get("NIGHTLOOM_GPUS", "1"), "one task per GPU")
    person = ("--firstname", "Nightloom", "--lastname", "Admin", "--email", "admin@localhost")
    airflow("users", "create", "--username", USER, "--role", "Admin", f"--password={admin}", *person)
    airflow("users", "reset-password", "--username", USER, f"--password={admin}")  # it may begin with -
    print(f"deployed {push(root, s)[:10]} to {s.central}", flush=True)


def _needed(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise WrongValue(f"{name} is not set")
    return value


def make_database(airflows: str, mlflows: str) -> None:
    """Make MLflow's database and its owner, next to Airflow's, unless they are there.

    Args:
        airflows: SQLAlchemy URL of Airflow's database, whose user may make databases.
        mlflows: the one to make.
    """
    import psycopg2  # type: ignore[import-untyped]
    from psycopg2.sql import SQL, Identifier, Literal  # type: ignore[import-untyped]
    from sqlalchemy.engine import make_url

    by, wanted = make_url(airflows), make_url(mlflows)
    owner, name = Identifier(str(wanted.username)), Identifier(str(wanted.database))
    connection = psycopg2.connect(host=by.host, port=by.port, user=by.username, password=by.password, dbname=by.database)
    connection.autocommit = True  # CREATE DATABASE wants no transaction
    try:
        with connection.cursor() as ask:
            ask.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (wanted.username,))
            verb = SQL("ALTER") if ask.fetchone() else SQL("CREATE")
            ask.execute(SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, owner, Literal(wanted.password)))
            ask.execute("SELECT 1 FROM pg_database WHERE datname = %s", (wanted.database,))
            if not ask.fetchone():
                ask.execute(SQL("CREATE DATABASE {} OWNER {} ENCODING 'UTF8' TEMPLATE template0").format(name, owner))
    finally:
        connection.close()


def make_bucket(s: Settings) -> str:
    """Make the bucket of DVC's remote unless it is there; return its name."""
    from botocore.exceptions import ClientError

    from tasks.ingest.s3 import connect

    name = urlsplit(s.remote).netloc
    store = connect()
    try:
        store.head_bucket(Bucket=name)  # who may use a bucket need not be allowed to make one
        return name
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != HTTPStatus.NOT_FOUND:
            raise
    try:
        store.create_bucket(Bucket=name)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise
    return name


def airflow(*words: str) -> None:
    """Run a command of Airflow's in this process: its words, a password among them, are not shown by `ps`."""
    from airflow.cli.cli_parser import get_parser

    asked = get_parser().parse_args(words)
    asked.func(asked)


def push(root: Path, s: Settings) -> str:
    """Make the checkout's commit central's `main`; return it."""
    commit = git("rev-parse", "HEAD", cwd=root)
    git("push", "--quiet", "--force", s.central, f"{commit}:refs/heads/main", cwd=root)
    return commit


if __name__ == "__main__":
    try:
        start(Path.cwd())
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        sys.exit(2)
