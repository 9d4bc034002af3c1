"""Text files that the user names: lists of inputs and recipes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

MOST_BYTES = 1 << 26  # of a text file; a device may never end


def read_text(path: Path) -> str:
    """Return the UTF-8 text of the file ``path``.

    Raises:
        OSError: it cannot be read, or has more than `MOST_BYTES`.
        UnicodeDecodeError: it is no text.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data.decode()
