"""Airflow's REST API, as far as a night needs it."""

from typing import Any

import requests

from tasks.errors import TasksError

TIMEOUT_S = 30


class Unreachable(TasksError):
    """Airflow does not answer, or not as it should; the message holds what it said."""


class Rest:
    """A logged-in user of one Airflow on loopback.

    Args:
        url: e.g. http://127.0.0.1:8080
        user: the login's name.
        password: the login's password.
    """

    def __init__(self, url: str, user: str, password: str) -> None:
        """Remember the login; `call` uses it when it has to."""
        self.url = url
        self._login = {"username": user, "password": password}
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy stands between us and loopback

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call a path below /api/v2 and return its JSON.

        Raises:
            Unreachable: no answer, or an error.
        """
        answer = self._send(method, f"/api/v2{path}", body, query)
        if answer.status_code == 401:
            token = self._send("POST", "/auth/token", self._login, {})
            self._check(token, "POST", "/auth/token")
            self._session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
            answer = self._send(method, f"/api/v2{path}", body, query)
        self._check(answer, method, path)
        return answer.json() if answer.content else None

    def find(self, path: str, **query: Any) -> Any:
        """GET a path; None when there is no such thing."""
        try:
            return self.call("GET", path, **query)
        except Unreachable as error:
            if "answered 404 " in str(error):
                return None
            raise

    def xcom(self, dag: str, run: str, task: str) -> Any:
        """What a task returned in a run; None when it returned nothing."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        entry = self.find(path, deserialize=False, stringify=False)
        return entry["value"] if entry else None

    def _send(self, method: str, path: str, body: Any, query: dict[str, Any]) -> requests.Response:
        try:
            return self._session.request(method, self.url + path, json=body, params=query, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            raise Unreachable(f"Airflow does not answer at {self.url} ({type(error).__name__})") from error

    @staticmethod
    def _check(answer: requests.Response, method: str, path: str) -> None:
        if not answer.ok:
            raise Unreachable(f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:300]}")
