"""Completion: what words become, as the three shells ask for it; and that nothing is asked, made or waited for."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from puller.cli import glimpse
from puller.cli.main import VERBS
from puller.model.document import load_document
from testregistry import images
from tests.cli.conftest import Puller
from tests.cli.program import environment

WORD_BREAKS = " \t\n\"'@><=;|&(:"  # bash's own
ALPINE, DEBIAN = "docker.io/library/alpine:3.20", "docker.io/library/debian:12"
APP = "127.0.0.1:5000/team/app:1"
IMAGE = images.image(images.layer({"a": b"b"}))
ID = IMAGE.config.digest.partition(":")[2]
OLD = "c0de" * 16

Complete: TypeAlias = Callable[..., list[str]]


def index_of(names: Sequence[object]) -> bytes:
    """An index.json in which all these are names of one image."""
    entry = images.descriptor(IMAGE)
    named = [entry | {"annotations": {"org.opencontainers.image.ref.name": name}} for name in names]
    return json.dumps({"schemaVersion": 2, "manifests": named}).encode()


def fill(store: Path, *names: object) -> Path:
    """As much of a store as names need."""
    blob = store / "blobs" / IMAGE.digest.replace(":", "/")
    blob.parent.mkdir(parents=True)
    blob.write_bytes(IMAGE.raw)
    (store / "index.json").write_bytes(index_of(names))
    return store


@pytest.fixture
def store(home: Path) -> Path:
    """A store with three names, and one of another kind in its graph."""
    path = fill(home / "store", ALPINE, DEBIAN, APP)
    (path / "graph" / OLD).mkdir(parents=True)
    names = {"Repositories": {"old": {"1": OLD}}}
    (path / "repositories-vfs").write_text(json.dumps(names))
    return path


@pytest.fixture
def bash(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """What bash is told for a line up to the cursor, kind and all."""

    def complete(line: str, breaks: str = WORD_BREAKS) -> list[str]:
        monkeypatch.setenv("COMP_LINE", line)
        monkeypatch.setenv("COMP_WORDBREAKS", breaks)
        monkeypatch.setenv("_PULLER_COMPLETE", "bash_complete")
        end = puller()
        assert end.err == ""
        return end.out.splitlines()

    return complete


def plain(*words: str) -> list[str]:
    return [f"plain,{word}" for word in words]


# Which words ----------------------------------------------------------------------------------------------------------


def test_verbs_are_completed(bash: Complete) -> None:
    assert bash("puller pu") == plain("pull", "push")
    assert bash("puller id-") == plain("id-chain")
    assert bash("puller graph ") == plain("check", "ls", "tree")


def test_names_of_the_store_and_of_its_graph_are_completed_as_people_type_them(bash: Complete, store: Path) -> None:
    assert bash("puller rm ") == plain(APP, "alpine:3.20", "debian:12", "old:1")
    assert bash("puller inspect al") == plain("alpine:3.20")


def test_a_name_that_is_typed_in_full_stays_full(bash: Complete, store: Path) -> None:
    assert bash("puller rm docker.io/library/d") == plain("docker.io/library/debian:12")


def test_the_default_verb_completes_names_beside_verbs_and_options_of_pull(bash: Complete, store: Path) -> None:
    assert bash("puller d") == plain("digest", "debian:12")
    assert bash("puller alpine:3.20 deb") == plain("debian:12")
    assert bash("puller --platform linux/arm6") == plain("linux/arm64")
    assert bash("puller --digest-") == plain("--digest-only")
    assert bash("puller --vers") == plain("--version")
    everything = bash("puller ")
    assert everything[: len(VERBS)] == plain(*VERBS)
    assert everything[len(VERBS) :] == plain(APP, "alpine:3.20", "debian:12", "old:1")


def test_a_name_that_stands_in_the_line_is_not_offered_again(bash: Complete, store: Path) -> None:
    assert bash("puller rm alpine:3.20 ") == plain(APP, "debian:12", "old:1")


def test_options_and_their_values_are_completed(bash: Complete, store: Path) -> None:
    assert bash("puller pull --no-tar") == plain("--no-tarsum")
    assert bash("puller pull --driver ") == plain("overlay", "vfs")
    assert bash("puller pull --driver=v") == plain("vfs")
    assert bash("puller pull --driver v") == plain("vfs")


def test_ids_are_completed_where_a_verb_takes_them(bash: Complete, store: Path) -> None:
    assert bash(f"puller inspect {ID[:4]}") == plain(ID[:12])
    assert bash(f"puller inspect {ID[:14]}") == plain(ID)
    assert bash("puller inspect c0d") == plain(OLD[:12])
    assert bash(f"puller inspect sha256:{ID[:3]}", breaks=" ") == plain(f"sha256:{ID}")
    assert bash(f"puller pull {ID[:4]}") == []


def test_ids_within_an_index_are_found(bash: Complete, home: Path) -> None:
    store = fill(home / "store", ALPINE)
    index = images.index(IMAGE)
    entry = {**images.descriptor(index), "annotations": {"org.opencontainers.image.ref.name": DEBIAN}}
    (store / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (store / "blobs" / index.digest.replace(":", "/")).write_bytes(index.raw)
    assert bash(f"puller inspect {ID[:4]}") == plain(ID[:12])


def test_a_manifest_that_is_named_over_and_over_is_read_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, bash: Complete
) -> None:
    store = fill(home / "store")
    inner = images.descriptor(IMAGE)
    index = json.dumps({"manifests": [inner] * 250}).encode()
    name = hashlib.sha256(index).hexdigest()
    (store / "blobs" / "sha256" / name).write_bytes(index)
    outer = inner | {"digest": f"sha256:{name}"}
    named = [outer | {"annotations": {"org.opencontainers.image.ref.name": f"a.example/a:{n}"}} for n in range(250)]
    (store / "index.json").write_text(json.dumps({"manifests": named}))
    read = []

    def counted(raw: bytes, *, what: str, limit: int) -> dict[str, Any]:
        read.append(raw)
        return load_document(raw, what=what, limit=limit)

    monkeypatch.setattr(glimpse, "load_document", counted)
    assert bash(f"puller inspect {ID[:4]}") == plain(ID[:12])
    assert (read.count(index), read.count(IMAGE.raw)) == (1, 1)


def test_files_and_directories_are_left_to_the_shell(bash: Complete, store: Path) -> None:
    assert bash("puller load ar") == ["file,ar"]
    assert bash("puller pull --report re") == ["file,re"]
    assert bash("puller pull --from-store pl") == ["file,pl"]
    assert bash("puller --store st") == ["dir,st"]
    assert bash("puller changes al") == [*plain("alpine:3.20"), "dir,al"]


def test_places_of_a_copy_are_completed_by_their_kind(bash: Complete, store: Path) -> None:
    assert bash("puller copy al") == plain("alpine:3.20")
    assert bash("puller copy store:al") == plain("alpine:3.20")
    assert bash("puller copy store:al", breaks=" ") == plain("store:alpine:3.20")
    assert bash("puller copy alpine:3.20 oci:im") == ["dir,im"]
    assert bash("puller copy alpine:3.20 docker-archive:im") == ["file,im"]
    assert bash("puller copy alpine:3.20 oci:") == ["dir,"]


def test_registries_and_repositories_are_completed(bash: Complete, store: Path) -> None:
    assert bash("puller login ") == plain("127.0.0.1:5000", "docker.io")
    assert bash("puller tags al") == plain("alpine")
    assert bash("puller pull --plain-http 1") == plain("127.0.0.1:5000")


def test_another_store_that_the_line_names_is_looked_into(bash: Complete, store: Path, tmp_path: Path) -> None:
    other = fill(tmp_path / "other", "docker.io/library/other:1")
    assert bash(f"puller rm --store {other} ") == plain("other:1")
    assert bash(f"puller --store={other} o") == plain("other:1")


# Words that bash breaks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("puller rm alpine:", ["3.20"]),
        ("puller rm alpine:3", ["3.20"]),
        ("puller rm 127.0.0.1:50", ["5000/team/app:1"]),
        ("puller rm 127.0.0.1:5000/team/app:", ["1"]),
        ("puller pull --plain-http=127.0.0.1:5", ["5000"]),
        ("puller alpine:3", ["3.20"]),
        ('puller rm "alpine:3', ["alpine:3.20"]),
        ("puller rm 'alpine:", ["alpine:3.20"]),
    ],
)
def test_of_a_word_that_bash_breaks_only_what_is_behind_the_break_is_given(
    bash: Complete, store: Path, line: str, words: list[str]
) -> None:
    assert bash(line) == plain(*words)


def test_where_colons_break_no_words_they_are_given_whole(bash: Complete, store: Path) -> None:
    assert bash("puller rm alpine:3", breaks=" \t\n") == plain("alpine:3.20")


def test_a_digest_is_completed_behind_its_at_sign(bash: Complete, home: Path) -> None:
    pinned = f"docker.io/library/alpine@{IMAGE.digest}"
    fill(home / "store", pinned)
    assert bash("puller rm alpine@sha") == plain(f"@{IMAGE.digest}")
    assert bash("puller rm alpine@sha256:") == plain(IMAGE.digest.partition(":")[2])


# What is there, and what is not ---------------------------------------------------------------------------------------


def test_no_store_is_made_where_there_is_none(bash: Complete, home: Path) -> None:
    assert bash("puller rm ") == []
    assert list(home.iterdir()) == []


def test_nothing_is_locked_made_or_changed(bash: Complete, store: Path) -> None:
    before = {path: path.lstat().st_mtime_ns for path in store.rglob("*")}
    bash("puller rm ")
    bash(f"puller inspect {ID[:4]}")
    assert {path: path.lstat().st_mtime_ns for path in store.rglob("*")} == before


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b"null", b'{"manifests":{}}', b'{"manifests":[1,{"annotations":[]}]}', b"[" * 100_000]
)
def test_a_broken_store_offers_nothing_and_says_nothing(bash: Complete, store: Path, raw: bytes) -> None:
    (store / "index.json").write_bytes(raw)
    (store / "repositories-vfs").write_bytes(raw)
    assert bash("puller rm ") == []


def test_a_pipe_in_the_place_of_names_is_not_waited_for(bash: Complete, store: Path) -> None:
    for name in ("index.json", "repositories-vfs"):
        (store / name).unlink()
        os.mkfifo(store / name)
    assert bash("puller rm ") == []


def test_c22_names_that_are_no_references_never_get_into_a_command_line(bash: Complete, home: Path) -> None:
    evil = ["x;rm -rf ~", "$(touch x)", "`x`", "a b", "a\nplain,b", "\x1b[2J", "../x", "", None, 7, "-x", "alpine:1\n"]
    fill(home / "store", *evil, ALPINE)
    assert bash("puller rm ") == plain("alpine:3.20")


def test_names_of_other_tools_that_lead_nowhere_here_are_not_offered(bash: Complete, home: Path) -> None:
    fill(home / "store", "latest", "1.0", ALPINE)
    assert bash("puller rm ") == plain("alpine:3.20")


@pytest.mark.parametrize("line", ["", "puller --store /x rm al", "puller nosuch --option ", "puller pull --jobs x al"])
def test_a_line_that_makes_no_sense_is_met_with_silence(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("_PULLER_COMPLETE", "bash_complete")
    end = puller()
    assert end.err == ""


@pytest.mark.parametrize("wish", ["bash_complete", "tcsh_complete", "bash_other", "bash", "_", "x" * 10_000])
def test_a_question_in_other_words_is_met_with_silence(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    monkeypatch.setenv("_PULLER_COMPLETE", wish)
    assert puller() == (end := puller())
    assert (end.code, end.out, end.err) == (1, "", "")


# The other shells, and what it costs ----------------------------------------------------------------------------------


def test_zsh_is_told_in_its_own_form(puller: Puller, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PULLER_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", "puller rm alpine:3")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert puller().out == "plain\nalpine:3.20\n_\n"
    monkeypatch.setenv("COMP_WORDS", "puller id-")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert puller().out == f"plain\nid-chain\n{VERBS['id-chain']}\n"


def test_fish_is_told_in_its_own_form(puller: Puller, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_PULLER_COMPLETE", "fish_complete")
    monkeypatch.setenv("COMP_WORDS", "puller rm alpine:3")
    monkeypatch.setenv("COMP_CWORD", "alpine:3")
    assert puller().out == "plain,alpine:3.20\n"


def test_zsh_and_fish_get_the_option_back_with_its_value(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "puller pull --driver=v")
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setenv("_PULLER_COMPLETE", "zsh_complete")
    assert puller().out == "plain\n--driver=vfs\n_\n"
    monkeypatch.setenv("COMP_CWORD", "--driver=v")
    monkeypatch.setenv("_PULLER_COMPLETE", "fish_complete")
    assert puller().out == "plain,--driver=vfs\n"


@pytest.mark.parametrize(
    ("line", "kind", "path", "before"),
    [
        ("puller copy a oci:im", "dir", "im", "oci:"),
        ("puller copy a oci:", "dir", "", "oci:"),
        ("puller copy a oci-archive:im", "file", "im", "oci-archive:"),
        ("puller copy a docker-archive:/srv/im", "file", "/srv/im", "docker-archive:"),
        ("puller pull --store=st", "dir", "st", "--store="),
        ("puller load im", "file", "im", ""),
    ],
)
def test_zsh_and_fish_are_told_what_stands_before_a_path(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, line: str, kind: str, path: str, before: str
) -> None:
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    monkeypatch.setenv("_PULLER_COMPLETE", "zsh_complete")
    told = puller().out.split("\n")
    assert (told[0], told[2]) == (kind, before or "_")
    monkeypatch.setenv("COMP_CWORD", line.rpartition(" ")[2])
    monkeypatch.setenv("_PULLER_COMPLETE", "fish_complete")
    assert puller().out == f"{kind},{path}" + (f"\t{before}" if before else "") + "\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed(puller: Puller, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    end = puller("completion", shell)
    assert (end.code, end.err) == (0, "")
    assert f"_PULLER_COMPLETE={shell}_complete" in end.out
    assert "_puller_completion" in end.out
    monkeypatch.setenv("_PULLER_COMPLETE", f"{shell}_source")
    assert puller().out == end.out


def test_a_shell_that_is_not_known_is_a_wrong_word(puller: Puller) -> None:
    assert puller("completion", "tcsh").code == 2


@pytest.mark.parametrize("line", ["puller al", "puller inspect al", "puller inspect 4f"])
def test_completing_loads_neither_the_client_nor_anything_of_the_store(store: Path, home: Path, line: str) -> None:
    check = (
        "import sys; from puller.cli.main import run; run([]); "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'aiohttp', 'anyio', 'rich', 'asyncio'}),"
        "sorted(name for name in sys.modules if name.startswith(('puller.registry', 'puller.ops', 'puller.store'))))"
    )
    asked = {"COMP_LINE": line, "COMP_WORDBREAKS": WORD_BREAKS, "_PULLER_COMPLETE": "bash_complete"}
    settings: dict[str, Any] = environment(home, PULLER_STORE=str(store), **asked)
    end = subprocess.run([sys.executable, "-c", check], env=settings, capture_output=True, text=True, check=True)
    assert end.stdout.splitlines()[-1] == "[] []"
    assert end.stderr == ""
