"""A batch under an S3 prefix. The endpoint, region and credentials are boto3's own settings (AWS_ENDPOINT_URL …)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tasks.errors import NoData
from tasks.ingest.store import ABSENT, EMPTY, Unreadable, too_large

TRIES = 5


def connect() -> Any:
    """Make a client that tries each request up to five times."""
    return boto3.client("s3", config=Config(retries={"max_attempts": TRIES, "mode": "standard"}))


@dataclass(frozen=True)
class Prefix:
    """The objects below one prefix (see `store.Store`)."""

    client: Any
    bucket: str
    prefix: str  # ends with /, or is empty

    def read(self, path: str, limit: int) -> bytes:
        """Read an object; a body that breaks off is asked for again."""
        tries = 0
        while True:
            try:
                return self._get(path, limit)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                    raise Unreadable(ABSENT) from error
                raise self._silent(path, error) from error  # boto3 has tried again already
            except BotoCoreError as error:
                tries += 1
                if tries == TRIES:
                    raise self._silent(path, error) from error

    def _get(self, path: str, limit: int) -> bytes:
        answer = self.client.get_object(Bucket=self.bucket, Key=self.prefix + path)
        size, body = answer["ContentLength"], answer["Body"]
        with body:
            if size > limit:
                raise too_large(size, limit)
            if not size:
                raise Unreadable(EMPTY)
            content: bytes = body.read()  # raises when fewer bytes come than were announced
        return content

    def _silent(self, path: str, error: Exception) -> NoData:
        return NoData(
            f"s3://{self.bucket}/{self.prefix}{path} cannot be read ({error}); check the endpoint and the credentials"
        )

    def listing(self) -> Iterator[str]:
        """Yield `path size etag` for each object."""
        for item in listed(self.client, self.bucket, self.prefix, "", "Contents"):
            yield f"{item['Key'].removeprefix(self.prefix)} {item['Size']} {item['ETag']}"


def listed(client: Any, bucket: str, prefix: str, delimiter: str, what: str) -> Iterator[dict[str, Any]]:
    """Yield the `Contents` or `CommonPrefixes` of a listing, page by page, in name order.

    Raises:
        NoData: the bucket does not answer.
    """
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter=delimiter)
        for page in pages:
            yield from page.get(what, [])
    except (BotoCoreError, ClientError) as error:
        raise NoData(
            f"s3://{bucket}/{prefix} cannot be listed ({error}); check the bucket, endpoint and credentials"
        ) from error
