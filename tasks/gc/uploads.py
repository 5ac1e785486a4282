"""Uploads to S3 that nobody finished: a killed push leaves their parts, which take room and are in no list of objects."""

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from tasks.ingest.s3 import connect
from tasks.run.atwork import DAY_S


def clean(remote: str, yes: bool, clock: Callable[[], float] = time.time, older_s: float = DAY_S) -> list[str]:
    """Abort those below DVC's remote that were begun some time ago, so that the store drops their parts.

    Args:
        remote: a folder, which has none, or `s3://bucket/prefix`.
        yes: abort, rather than only look.
        clock: s since 1970.
        older_s: how long ago; a younger one may be at work.

    Returns:
        What goes, or why the store does not say.
    """
    if not remote.startswith("s3://"):
        return []
    bucket, prefix = urlsplit(remote).netloc, f"{urlsplit(remote).path.strip('/')}/".lstrip("/")
    client = connect()
    try:
        pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
        begun = [item for page in pages for item in page.get("Uploads", [])]
        old = [item for item in begun if clock() - item["Initiated"].timestamp() >= older_s]
        for item in old if yes else ():
            _abort(client, bucket, item)
    except (BotoCoreError, ClientError) as error:
        return [f"uploads to S3 that nobody finished: let the store end them by a lifecycle rule, it does not let us ({error})"]
    return [f"{len(old)} uploads to S3 that nobody finished"]


def _abort(client: Any, bucket: str, item: dict[str, Any]) -> None:
    """End an upload; one that has ended meanwhile is no matter."""
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=item["Key"], UploadId=item["UploadId"])
    except client.exceptions.NoSuchUpload:
        return
