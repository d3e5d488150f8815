"""What must happen when the interpreter exits and when the process forks."""

import atexit
import os

from marbledb import _core


def install() -> None:
    """Registers the hooks, once, at import."""
    atexit.register(_core._close_all)
    os.register_at_fork(after_in_child=_core._after_fork_in_child)
