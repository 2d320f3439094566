"""What every command prints in the same way."""

from __future__ import annotations

import sys


def complain(error: BaseException | str) -> None:
    """Tell of a failure on standard error."""
    print(f"mmnet: error: {error}", file=sys.stderr)
