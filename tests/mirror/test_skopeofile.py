"""The file of `skopeo sync --src yaml`: what it asks for, and what of it is refused."""

import re

import pytest

from puller.errors import InvalidConfig
from puller.mirror.config import Config, Host, Mirror, Place
from puller.mirror.constraint import RELEASE, parse
from puller.mirror.selection import TagRule, by_name
from puller.mirror.skopeofile import destination, read_skopeo
from puller.mirror.yamlfile import load

DIGEST = "sha256:" + "0" * 64
WHOLE = f"""
registry.example.com:
    images:
        busybox: []
        team/redis:
            - "1.0"
            - 2.10
            - "{DIGEST}"
    images-by-tag-regex:
        nginx: ^1\\.13\\.[12]-alpine-perl$
    images-by-semver:
        alpine: "3.12 - 3.13"
    tls-verify: true
    cert-dir: /home/john/certs
localhost:5000:
    tls-verify: false
    images:
        coreos/etcd:
            - latest
docker.io:
    images:
        debian:
"""
TO = Place("registry", "mirror.example/all")


def config(text: str, to: Place = TO, *, scoped: bool = False) -> Config:
    return read_skopeo(load(text.encode(), "sync.yml", aliases=True), to, scoped=scoped)


def test_the_whole_of_it() -> None:
    found = config(WHOLE)
    assert found.hosts == {
        "registry.example.com": Host(certificates="/home/john/certs"),
        "localhost:5000": Host(insecure=True),
    }

    def mirror(source: str, name: str, rule: TagRule, line: int) -> Mirror:
        target = Place("registry", f"mirror.example/all/{name}")
        return Mirror(Place("registry", source), target, rule, line=line)

    assert list(found.mirrors) == [
        mirror("registry.example.com/busybox", "busybox", TagRule(), 4),
        mirror("registry.example.com/team/redis", "redis", TagRule(exact=("1.0", "2.10", DIGEST)), 6),
        mirror(
            "registry.example.com/nginx",
            "nginx",
            TagRule(allow=(re.compile(r"1\.13\.[12]-alpine-perl", re.ASCII),)),
            10,
        ),
        mirror("registry.example.com/alpine", "alpine", TagRule(allow=(RELEASE,), versions=parse("3.12 - 3.13")), 12),
        mirror("localhost:5000/coreos/etcd", "etcd", TagRule(exact=("latest",)), 19),
        mirror("docker.io/library/debian", "debian", TagRule(), 22),
    ]


def test_tags_that_are_named_and_digests_need_no_list() -> None:
    named = config(WHOLE).mirrors[1].tags
    assert not named.lists
    assert [verdict.tag for verdict in by_name([], named) if verdict.chosen] == ["1.0", "2.10", DIGEST]


def test_scoped_keeps_the_whole_name() -> None:
    text = "quay.io: {images: {coreos/etcd: [v3], a: []}}\ndocker.io: {images: {alpine: []}}"
    names = [str(mirror.target) for mirror in config(text, scoped=True).mirrors]
    assert names == [
        "mirror.example/all/quay.io/coreos/etcd",
        "mirror.example/all/quay.io/a",
        "mirror.example/all/docker.io/library/alpine",
    ]


def test_the_beginning_of_a_name_may_stand_with_the_registry() -> None:
    (mirror,) = config("quay.io/coreos: {images: {etcd: [v3]}}").mirrors
    assert (str(mirror.source), str(mirror.target)) == ("quay.io/coreos/etcd", "mirror.example/all/etcd")


@pytest.mark.parametrize(
    ("to", "target"),
    [
        ("oci:/srv/m/", Place("oci", "/srv/m/etcd")),
        ("store:", Place("store", "")),
        ("b.example:5000", Place("registry", "b.example:5000/etcd")),
        ("b.example/x/", Place("registry", "b.example/x/etcd")),
    ],
)
def test_images_go_below_the_destination(to: str, target: Place) -> None:
    assert config("quay.io: {images: {coreos/etcd: [v3]}}", destination(to)).mirrors[0].target == target


@pytest.mark.parametrize(
    "text",
    [
        "",
        "oci:",
        "oci:/x:1",
        "oci:~/x",
        "store:~/x",
        "dir:/x",
        "./x",
        "skx",
        "a b",
        "b.example/UP",
        "http://b.example",
        "-/x",
    ],
)
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        destination(text)
    assert (caught.value.where, caught.value.got) == ("--to", text)


def test_a_password_in_the_file_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidConfig) as caught:
        config("a.example:\n  images: {x: []}\n  credentials: {username: john, password: hidden-one}")
    assert re.search(
        r"a secret in the file \(sync.yml:3: a.example.credentials\).*puller login a.example", str(caught.value)
    )
    assert "hidden-one" not in str(caught.value.facts())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.example: {image: {x: []}, images: {}}", "unknown key.*Was images meant"),
        ("a.example:\n  images: {x: latest}", "sync.yml:2: a.example.images.x.*a list"),
        ("a.example: {images: {x: ['a/b']}}", "no tag"),
        ("a.example: {images: {x: ['sha256:00']}}", "digest"),
        ("a.example: {images: {'x:1': []}}", "without a tag"),
        ("a.example: {images: {UP: []}}", "invalid repository"),
        ("a.example: {images-by-tag-regex: {x: '('}}", "no regular expression"),
        ("a.example: {images-by-tag-regex: {x: [a]}}", "text"),
        ("a.example: {images-by-semver: {x: newest}}", "no range of versions"),
        ("a.example: {tls-verify: maybe, images: {}}", "true or false"),
        ("a b: {images: {}}", "no registry"),
        ("a.example: {tls-verify: false, images: {}}\na.example/x: {images: {}}", "spoken to in two ways"),
        ("a.example: {images: {x/b: []}}\nb.example: {images: {y/b: ['1']}}", "line 1.*--scoped"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        config(text)
    assert re.search(said, str(caught.value)), str(caught.value)
    assert "sync.yml:" in str(caught.value)


def test_two_repositories_may_share_a_place_where_their_tags_do_not_meet() -> None:
    text = "a.example: {images: {x/b: ['1']}}\nb.example: {images: {y/b: ['2']}}"
    assert len(config(text).mirrors) == 2


def test_a_port_in_the_middle_of_a_name_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"a port in the middle of a name.*sync.yml:1.*localhost:5000") as caught:
        config("localhost:5000: {images: {x: []}}", scoped=True)
    assert caught.value.hint.startswith("Without --scoped it comes to ")
    assert caught.value.hint.endswith("/x.")
