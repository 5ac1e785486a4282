"""What a sample id and a relative path may look like, before anything is opened."""

import re
import unicodedata

ID_LENGTH = 256
PATH_LENGTH = 1024
DRIVE = re.compile(r"[A-Za-z]:")
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # control, format (bidi overrides), surrogates, line separators


def unseen(text: str) -> bool:
    """Say whether a text holds characters that nobody sees, NUL among them."""
    return any(unicodedata.category(c) in UNSEEN for c in text)


def id_problem(text: str) -> str:
    """Why this cannot be a sample id, or ""."""
    if not text:
        return "sample_id is empty"
    if unseen(text):
        return f"sample_id {text[:40]!r} holds control characters"
    if text != text.strip():
        return f"sample_id {text[:40]!r} begins or ends with a space"
    if len(text) > ID_LENGTH:
        return f"sample_id {text[:40]!r}… has {len(text)} characters, at most {ID_LENGTH} are allowed"
    return ""


def path_problem(path: str) -> str:
    """Why this cannot be a file of the batch, or "". Only plain relative paths with / are files of a batch."""
    if unseen(path):
        return "holds control characters"
    if "://" in path:
        return "is a URL; files must lie in the batch"
    if path.startswith("/") or DRIVE.match(path):
        return "is an absolute path; it must be relative to the batch"
    if "\\" in path:
        return "holds a backslash; folders are separated by /"
    if any(part in {"", ".", ".."} for part in path.split("/")):
        return "holds an empty part, `.` or `..`; it must name a file below the batch"
    if len(path) > PATH_LENGTH:
        return f"has {len(path)} characters, at most {PATH_LENGTH} are allowed"
    return ""


def folded(text: str) -> str:
    """What spellings have in common that a system blind to case or to Unicode's normal forms takes for the same name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
