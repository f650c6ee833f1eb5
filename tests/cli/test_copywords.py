"""SRC and DST of a copy: what each word says."""

from pathlib import Path

import pytest

from puller.cli.copywords import Word
from puller.errors import InputError
from puller.model.digest import Digest

DIGEST = Digest.of(b"an image")
HERE = str(Path.cwd())


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("alpine:3.20", Word("alpine:3.20", "registry", name="alpine:3.20")),
        ("docker://store:1", Word("docker://store:1", "registry", name="store:1")),
        (f"h.example/x@{DIGEST}", Word(f"h.example/x@{DIGEST}", "registry", name=f"h.example/x@{DIGEST}")),
        ("store:alpine:3.20", Word("store:alpine:3.20", "store", name="alpine:3.20")),
        ("oci:/srv/x", Word("oci:/srv/x", "oci", "/srv/x")),
        ("oci:/srv/x:1.0", Word("oci:/srv/x:1.0", "oci", "/srv/x", "1.0")),
        ("oci:/srv/x:a@b:c", Word("oci:/srv/x:a@b:c", "oci", "/srv/x", "a@b:c")),
        ("oci:x:1", Word("oci:x:1", "oci", f"{HERE}/x", "1")),
        ("oci:~/x:1", Word("oci:~/x:1", "oci", f"{Path.home()}/x", "1")),
        ("oci:./~/x", Word("oci:./~/x", "oci", f"{HERE}/~/x")),
        ("oci-archive:~no-such-user/x", Word("oci-archive:~no-such-user/x", "oci-archive", f"{HERE}/~no-such-user/x")),
        (f"oci:x@{DIGEST}", Word(f"oci:x@{DIGEST}", "oci", f"{HERE}/x", None, DIGEST)),
        ("oci-archive:/x.tar:1", Word("oci-archive:/x.tar:1", "oci-archive", "/x.tar", "1")),
        ("docker-archive:/x.tar", Word("docker-archive:/x.tar", "docker-archive", "/x.tar")),
        (
            "docker-archive:/x.tar:h.example:5000/x:1",
            Word("docker-archive:/x.tar:h.example:5000/x:1", "docker-archive", "/x.tar", "h.example:5000/x:1"),
        ),
    ],
)
def test_words_are_read_as_skopeo_reads_them(text: str, word: Word) -> None:
    assert Word.parse(text) == word


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "the place is not whole"),
        ("store:", "store:REF"),
        ("oci:", "oci:DIR"),
        ("oci::1.0", "oci:DIR"),
        ("oci:/x:", "nothing follows"),
        ("docker-archive:", "docker-archive:FILE"),
        (f"oci:/x:1@{DIGEST}", "a name and a digest"),
        ("oci:/x@sha256:12", "sha256"),
        ("docker-daemon:alpine:3", "docker save"),
        ("containers-storage:alpine", "podman save"),
        ("dir:/x", "oci:DIR"),
        ("./x", "oci:./x"),
        ("/srv/x", "oci:/srv/x"),
        ("~/x", "oci-archive:~/x"),
    ],
)
def test_words_that_say_too_little_or_too_much_are_refused(text: str, told: str) -> None:
    with pytest.raises(InputError) as raised:
        Word.parse(text)
    assert told in str(raised.value)
