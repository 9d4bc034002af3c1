"""What tells a source from another file, or from its former self."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from vidsr.errors import InputError

HASHED_BYTES = 1 << 20  # at the beginning and at the end


@dataclass(frozen=True)
class Fingerprint:
    """Size, time of the last change, and a digest of both ends of a file."""

    bytes: int
    modified: int  # nanoseconds since 1970
    digest: str  # SHA-256 of its first and last megabyte

    @classmethod
    def of(cls, path: Path) -> Fingerprint:
        """Return the fingerprint of a file.

        Raises:
            InputError: it cannot be read.
        """
        try:
            status = path.stat()
            with path.open("rb") as file:
                digest = sha256(file.read(HASHED_BYTES))
                file.seek(max(0, status.st_size - HASHED_BYTES))
                digest.update(file.read(HASHED_BYTES))
        except OSError as error:
            raise InputError(f"{path} cannot be read ({(error.strerror or '').lower()}): check the path") from None
        return cls(status.st_size, status.st_mtime_ns, digest.hexdigest())

    @classmethod
    def of_source(cls, path: Path) -> Fingerprint | None:
        """Return the fingerprint of a source; None if it is not one file."""
        return cls.of(path) if path.is_file() else None

    def check(self, path: Path) -> None:
        """Check quickly that ``path`` is still the same file.

        Raises:
            InputError: it has changed, or is gone.
        """
        if not path.exists():
            raise InputError(f"{path} is gone: return it to its place, and run the same command again")
        if self.differs(path):
            raise InputError(f"{path} changed since the job began: return the old file, or give --fresh to begin again")

    def differs(self, path: Path) -> bool:
        """Whether ``path`` is another file now, or has changed, by its size and time; not if it is gone."""
        try:
            status = path.stat()
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) != (self.bytes, self.modified)
