"""Images mounted by `puller mount` for the length of a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Puller


@contextmanager
def mounted(puller: Puller, text: str, target: Path, *words: str) -> Iterator[Path]:
    """An image's tree at `target`; skips where nobody may mount."""
    target.mkdir(exist_ok=True)
    end = puller("mount", text, str(target), *words)
    if end.code == 1 and "[Unsupported]" in end.err:
        pytest.skip(f"no right to mount here: {end.err.splitlines()[-1].strip()}")
    assert end.code == 0, end.err
    graph = words[words.index("--graph") :] if "--graph" in words else ()
    try:
        yield target
    finally:
        end = puller("umount", str(target), *graph)
        assert end.code == 0, end.err
