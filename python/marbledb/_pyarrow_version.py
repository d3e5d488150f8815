"""The compiled half uses Arrow's C++ library from the pyarrow wheel, whose binary interface holds
within one minor version. This check comes before anything that links it."""

REQUIRED = (26, 0)


def check(found: str | None = None) -> None:
    """Raises ImportError unless pyarrow is of the minor version that this was built with."""
    needed = f"{REQUIRED[0]}.{REQUIRED[1]}"
    advice = f"install it with: pip install 'pyarrow>={needed},<{REQUIRED[0]}.{REQUIRED[1] + 1}'"
    if found is None:
        try:
            import pyarrow
        except ImportError as error:
            raise ImportError(
                f"marbledb needs pyarrow {needed}, and none is there; {advice}"
            ) from error
        found = str(pyarrow.__version__)
    if tuple(found.split(".")[:2]) != tuple(str(part) for part in REQUIRED):
        raise ImportError(f"marbledb was built for pyarrow {needed}, and found {found}; {advice}")
