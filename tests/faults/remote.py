"""What lies in DVC's remote, a bucket or a folder, and whether it is whole."""

import hashlib
from pathlib import Path
from typing import Any

from tasks.files import file_digest

BUCKET, PREFIX = "bucket", "remote"
REMOTE = f"s3://{BUCKET}/{PREFIX}"
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "only-for-moto", "AWS_DEFAULT_REGION": "us-east-1"}


def objects(client: Any) -> dict[str, bytes]:
    """DVC's objects in the bucket: the md5 that each is named after, and its content."""
    below = f"{PREFIX}/files/md5/"
    found = {}
    for item in client.list_objects_v2(Bucket=BUCKET, Prefix=below).get("Contents", []):
        content = client.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
        found[item["Key"].removeprefix(below).replace("/", "").removesuffix(".dir")] = content
    return found


def lies(client: Any) -> list[str]:
    """Those whose content is not what their name says."""
    return [md5 for md5, content in objects(client).items() if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5]


def unfinished(client: Any) -> list[str]:
    """Names for which parts were uploaded that never became an object."""
    return [upload["Key"] for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]


def halves(remote: Path) -> list[Path]:
    """Objects of a folder, under final names, that are not what their name says."""
    named = {path: (path.parent.name + path.name).removesuffix(".dir") for path in remote.glob("files/md5/??/*")}
    return [path for path, md5 in named.items() if len(md5) == 32 and file_digest(path, "md5") != md5]
