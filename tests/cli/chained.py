"""What the tests of `puller id-chain` share."""

from collections.abc import Callable, Sequence
from pathlib import Path

from puller.legacy.idchain import id_chain
from puller.legacy.schema1 import encode_manifest, parse_signed_manifest
from tests.cli.conftest import Puller
from tests.cli.program import Ended
from tests.legacy.signers import ec_key, signed
from tests.legacy.test_history import BLOB

Show = Callable[..., Ended]
HONEST = signed(ec_key())
BASE, TOP = id_chain(parse_signed_manifest(HONEST).layers())


def showing(puller: Puller, folder: Path) -> Show:
    """`puller id-chain` of the bytes it is called with."""

    def show(raw: bytes, *words: str) -> Ended:
        file = folder / "manifest.json"
        file.write_bytes(raw)
        return puller("id-chain", str(file), *words)

    return show


def history(*texts: bytes, blobs: Sequence[str] | None = None) -> bytes:
    """An unsigned manifest of these images, top first."""
    return encode_manifest("library/app", "1", "amd64", blobs or [BLOB] * len(texts), texts)


def values(end: Ended, label: str) -> list[str]:
    """What stands behind a label, line by line."""
    return [line[len(label) :].strip() for line in end.out.splitlines() if line.startswith(f"{label} ")]


def check_refused(end: Ended, code: int, kind: str = "") -> None:
    """Nothing was printed but an error of this kind."""
    assert (end.code, end.out) == (code, "")
    assert end.err.startswith("puller: ")
    assert f"[{kind}" in end.err
    assert "\n  where " in end.err
