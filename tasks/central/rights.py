"""Who may do what: `reader` fetches, `writer` fetches and pushes."""

import base64
import binascii
import hmac
from dataclasses import dataclass, field

from tasks.errors import WrongValue

FEWEST = 16  # characters of a password


@dataclass(frozen=True)
class Rights:
    """The passwords of the two logins."""

    reader: str = field(repr=False)
    writer: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what would be no lock.

        Raises:
            WrongValue: a password is absent or short, or both are the same.
        """
        for name, password in (("READER", self.reader), ("WRITER", self.writer)):
            if len(password) < FEWEST:
                raise WrongValue(f"NIGHTLOOM_{name}_PASSWORD must have at least {FEWEST} characters, it has {len(password)}")
        if self.reader == self.writer:
            raise WrongValue("NIGHTLOOM_READER_PASSWORD and NIGHTLOOM_WRITER_PASSWORD must differ")

    def login(self, header: str | None) -> str | None:
        """The login that an `Authorization` header proves, `reader` or `writer`; None when it proves none."""
        scheme, _, code = (header or "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, given = base64.b64decode(code.strip(), validate=True).partition(b":")
        except binascii.Error:
            return None
        # both are compared, so that the time taken tells nothing
        right = {
            name: hmac.compare_digest(given, password.encode())
            for name, password in (("reader", self.reader), ("writer", self.writer))
        }
        name = user.decode(errors="replace")
        return name if right.get(name) else None
