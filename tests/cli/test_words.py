"""Words that mean nothing: always a sentence, never a traceback, and the right exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from puller.cli.main import VERBS
from puller.cli.pulling import doubted
from puller.errors import NotFound, PullerError, Unauthorized, Unavailable
from puller.model.reference import Reference
from puller.version import VERSION
from tests.cli.conftest import Puller
from tests.cli.program import environment

pytestmark = pytest.mark.slow  # many small tests: for `make test`

LONG = "x" * 5_000
WRONG_REFERENCES = [
    "Alpine",
    "alpine:",
    "alpine::1",
    "alpine:1:2",
    "alpine@",
    "alpine@sha256:beef",
    "alpine@md5:" + "a" * 32,
    "https://docker.io/alpine",
    "127.0.0.1:99999/x",
    "../x",
    "a//b",
    LONG,
    "x y",
    "x\ny",
    "x\x1b[31m",
    "\N{SNOWMAN}",
    "",
]
WRONG_WORDS: list[tuple[str, ...]] = [
    ("pull",),
    ("pull", "--nothing", "alpine"),
    ("pull", "alpine", "--jobs", "0"),
    ("pull", "alpine", "--jobs", "many"),
    ("pull", "alpine", "--platform", "linux/amd64/v1/x"),
    ("pull", "alpine", "--platform", ""),
    ("pull", "alpine", "--platform", "linux/amd64", "--all-platforms"),
    ("pull", "alpine", "--ca", "/nothing/there.pem"),
    ("pull", "alpine", "--report", "/nothing/there.json"),
    ("pull", "alpine", "--store"),
    ("pull", "--all-tags", "alpine:1"),
    ("tags", "alpine:1"),
    ("tags", "alpine@sha256:" + "a" * 64),
    ("tag", "alpine"),
    ("tag", "alpine", "Wrong"),
    ("rm",),
    ("inspect",),
    ("verify",),
    ("verify", "--all", "alpine"),
    ("gc", "--days", "-1"),
    ("gc", "--days", "nan"),
    ("gc", "--days", "inf"),
    ("pull", "alpine", "--plain-http", "http://r.example"),
    ("pull", "alpine", "--plain-http", "r.example/app"),
    ("digest", "alpine", "--plain-http", ""),
    ("gc", "now"),
    ("images", "alpine"),
    ("tarsum",),
    ("tarsum", "/nothing/there.tar"),
    ("--store", "/nowhere", "images"),
    ("--nothing",),
]


@pytest.mark.parametrize("reference", WRONG_REFERENCES, ids=lambda text: repr(text)[:24])
@pytest.mark.parametrize("verb", ["pull", "digest", "inspect", "rm", "verify"])
def test_what_is_no_reference_is_refused_with_exit_code_2(puller: Puller, verb: str, reference: str) -> None:
    end = puller(verb, "--", reference)
    assert (end.code, end.out) == (2, "")
    assert end.err.startswith("puller: ")
    assert "[InvalidReference]" in end.err.splitlines()[0]
    assert len(end.err) < 3_000
    assert end.err.replace("\n", "").isprintable()


@pytest.mark.parametrize("verb", ["pull", "digest"])
def test_an_image_id_is_no_reference(puller: Puller, verb: str) -> None:
    end = puller(verb, "a" * 64)
    assert (end.code, end.out) == (2, "")
    assert "It would look like an image ID." in end.err


@pytest.mark.parametrize("verb", ["inspect", "rm", "verify"])
def test_an_image_of_the_store_may_be_given_by_its_id(puller: Puller, verb: str) -> None:
    end = puller(verb, "a" * 64)
    assert (end.code, end.out) == (1, "")
    assert "there is no image of this name or ID  [ContentMissing]" in end.err


@pytest.mark.parametrize("words", WRONG_WORDS, ids=" ".join)
def test_wrong_words_end_with_exit_code_2_and_a_sentence(puller: Puller, words: tuple[str, ...]) -> None:
    end = puller(*words)
    assert (end.code, end.out) == (2, "")
    assert end.err.strip()
    assert "Traceback" not in end.err


@pytest.mark.parametrize("reference", ["", LONG, "x\x1b[31m", "\udcff"], ids=["nothing", "long", "escape", "no text"])
def test_a_process_given_odd_bytes_ends_without_a_traceback(tmp_path: Path, reference: str) -> None:
    end = subprocess.run(
        [sys.executable, "-m", "puller", reference], env=environment(tmp_path), capture_output=True, check=False
    )
    assert end.returncode == 2
    assert end.stdout == b""
    assert b"Traceback" not in end.stderr
    assert b"\x1b" not in end.stderr


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_names_every_verb(puller: Puller, words: tuple[str, ...]) -> None:
    end = puller(*words)
    text = end.out + end.err
    assert all(f"  {verb} " in text for verb in VERBS)
    assert end.code == (0 if words else 2)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_of_its_own(puller: Puller, verb: str) -> None:
    end = puller(verb, "--help")
    assert end.code == 0
    assert end.out.startswith(f"Usage: puller {verb} ")


def test_the_version_is_told_without_loading_what_pulls(tmp_path: Path) -> None:
    heavy = ("aiohttp", "asyncio", "anyio", "rich", "importlib.metadata", "ssl", "json", "puller.model")
    script = f"""
import sys
from puller.cli.main import run
assert run(["--version"]) == 0
print([name for name in {heavy!r} if name in sys.modules])
"""
    end = subprocess.run(
        [sys.executable, "-c", script], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert end.stdout == f"puller {VERSION}\n[]\n"


def test_a_store_that_cannot_be_is_an_error_that_names_the_place(puller: Puller, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("somebody else's")
    end = puller("images", "--store", str(tmp_path / "other"))
    assert (end.code, end.out) == (1, "")
    assert "[StoreUnusable]" in end.err
    assert str(tmp_path / "other") in end.err


def test_a_store_that_is_a_file_is_refused(puller: Puller, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert puller("images", "--store", str(tmp_path / "file")).code == 2


def test_a_damaged_index_is_an_error_that_says_what_to_do(puller: Puller, home: Path) -> None:
    puller("images")
    (home / "store" / "index.json").write_text('{"schemaVersion": 2, "manifests": ')
    end = puller("images")
    assert (end.code, end.out) == (3, "")
    assert "[ContentCorrupt]" in end.err
    assert "pull again" in end.err


def test_without_a_home_the_store_has_to_be_given(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("PULLER_STORE")
    end = puller("images")
    assert end.code == 2
    assert "--store" in end.err


def test_the_usage_says_that_a_name_is_enough(puller: Puller) -> None:
    assert puller("--help").out.startswith("Usage: puller REF… | VERB …\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("inspect", "alpine@md5:" + "a" * 32), "invalid reference: unknown digest algorithm"),
        (("inspect", "https://r.example/app"), "invalid reference: it has a scheme"),
        (("pull", "alpine", "--platform", "a/b/c/d"), "linux/arm64"),
        (("pull", "--all-tags", "r.example/app:1"), "Leave out what follows the name: r.example/app"),
        (("tags", "localhost:5000"), "name a repository of it: localhost:5000/REPO"),
        (("tags", "debian:7"), "Leave out what follows the name: docker.io/library/debian"),
        (("tags", "r.example/app:1"), "Leave out what follows the name: r.example/app"),
        (("pull", "alpine", "--plain-http", "http://r.example"), "[InvalidConfig]"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_wrong_words_are_told_with_the_cause_and_a_way_out(puller: Puller, words: tuple[str, ...], told: str) -> None:
    end = puller(*words)
    assert end.code == 2
    assert told in end.err


@pytest.mark.parametrize(
    ("text", "kind", "doubtful"),
    [
        ("imagess", NotFound, True),
        ("imagess", Unauthorized, True),
        ("imagess", Unavailable, False),
        ("imagess:1", NotFound, False),
        ("team/imagess", NotFound, False),
        ("r.example/imagess", NotFound, False),
    ],
)
def test_a_bare_word_that_no_registry_knows_may_have_been_a_verb(
    text: str, kind: type[PullerError], doubtful: bool
) -> None:
    error = doubted(Reference.parse(text), kind("not to be had"))
    assert ("puller --help" in error.hint) == doubtful


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_away_early_ends_it_silently(tmp_path: Path, unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "puller", "images"]
    surroundings = environment(tmp_path, PYTHONUNBUFFERED=unbuffered)
    end = subprocess.run(words, env=surroundings, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (end.returncode, end.stderr) == (1, b"")
