"""Archives of what the originals computed: see tests/golden/README.md."""

import tarfile
from functools import cache
from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


@cache
def contents(name: str) -> dict[str, bytes]:
    """The files of one of them, by name."""
    with tarfile.open(GOLDEN / name) as archive:
        return {info.name: file.read() for info in archive if (file := archive.extractfile(info))}
