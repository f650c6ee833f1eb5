"""References: the grammar of distribution/reference, Docker's short forms, and the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import InvalidReference
from puller.model.digest import Digest
from puller.model.reference import MAX_REPOSITORY, Reference, is_registry, is_tag
from tests.model.strategies import references

SHA256 = "sha256:" + "86e0e091d0da6bde" * 4
SHA512 = "sha512:" + "0123456789abcdef" * 8
IMAGE_ID = "1a3f5e7d9c1b3a5f7e9d1c3b5a7f9e1d3c5b7a9f1e3d5d7c9b1a3f5e7d9c1b3a"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag"),
    [
        # one word is always a repository of the library, whatever it looks like
        ("debian", "docker.io", "library/debian", None),
        ("debian:bookworm", "docker.io", "library/debian", "bookworm"),
        ("example.com", "docker.io", "library/example.com", None),
        ("example.com:5000", "docker.io", "library/example.com", "5000"),
        ("192.168.0.1:80", "docker.io", "library/192.168.0.1", "80"),
        ("localhost:5000", "docker.io", "library/localhost", "5000"),
        ("foo_bar.com:8080", "docker.io", "library/foo_bar.com", "8080"),
        # two words: the first is a host if it has a dot, a colon, upper case, or is localhost
        ("team/app", "docker.io", "team/app", None),
        ("test_com/app", "docker.io", "test_com/app", None),
        ("localhost/app", "localhost", "app", None),
        ("test.com/app", "test.com", "app", None),
        ("test-com:8080/app", "test-com:8080", "app", None),
        ("test:5000/app:tag", "test:5000", "app", "tag"),
        ("127.0.0.1:5000/team/app:5050", "127.0.0.1:5000", "team/app", "5050"),
        ("xn--n3h.com:18080/app:xn--n3h.com", "xn--n3h.com:18080", "app", "xn--n3h.com"),
        ("b.gcr.io/example.com/my-app:example.com", "b.gcr.io", "example.com/my-app", "example.com"),
        ("Docker/docker", "Docker", "docker", None),
        ("FOO/bar:Tag", "FOO", "bar", "Tag"),
        # the hub, by both its names, and its library
        ("docker.io/debian", "docker.io", "library/debian", None),
        ("docker.io/library/debian", "docker.io", "library/debian", None),
        ("docker.io/library/a/b", "docker.io", "library/a/b", None),
        ("index.docker.io/debian:12", "docker.io", "library/debian", "12"),
        ("index.docker.io/team/app", "docker.io", "team/app", None),
        ("Docker.io/debian", "Docker.io", "debian", None),
        # IPv6 literals
        ("[2001:db8::1]/app", "[2001:db8::1]", "app", None),
        ("[2001:db8::1]:5000/team/app:tag", "[2001:db8::1]:5000", "team/app", "tag"),
        ("[::1]:5000/app", "[::1]:5000", "app", None),
        # separators
        ("docker---rules/dock__er", "docker.io", "docker---rules/dock__er", None),
        ("d/t", "docker.io", "d/t", None),
        # 64 characters that are not hex, and 64 hex digits where a host says they are a name
        ("z" * 64, "docker.io", "library/" + "z" * 64, None),
        (f"docker.io/{IMAGE_ID}", "docker.io", f"library/{IMAGE_ID}", None),
        (IMAGE_ID[:63], "docker.io", f"library/{IMAGE_ID[:63]}", None),
    ],
)  # fmt: skip
def test_a6_a_name_is_read_as_docker_reads_it(text: str, registry: str, repository: str, tag: str | None) -> None:
    assert Reference.parse(text) == Reference(registry, repository, tag)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", ":justtag", f"@{SHA256}", "app:", "app@", "app:@" + SHA256, "/app", "app/", "a//b", "docker///docker",
        IMAGE_ID,
        # case and characters of a repository
        "Uppercase", "Uppercase:tag", "docker/Docker", "docker.io/docker/Docker", "test:5000/Uppercase/app:tag",
        "aa/asdf$$^/aa", "-foo", "-docker/docker", "docker-/docker", "____/____", "_docker/_docker", "dock..er/docker",
        "dock_.er/docker", "dock-.er/docker", "a___b", "team/app\\x", "team/äpp", "team/app\u0660",
        # climbing (A6): a component cannot be dots
        ".", "..", "../x", "repo/../../x", "host:5000/../x", "host:5000/a/./b", "host:5000/%2e%2e/x",
        # hosts
        "-docker.io/docker/docker", "https://github.com/docker/docker", "fc00::1:5000/debian", "[fc00::1]",
        "[fc00::1]:5000", "[fc00::1]:tag", "[fe80::1%eth0]:5000/app", "[fe80::1%@zone]:5000/app",
        "[2001:db8:3:4::192.0.2.33]:5000/app", "host:0/app", "host:65536/app", "host:123456/app", "host:/app",
        "host:port/app", "ho_st:5000/app", "user@host:5000/app", "host:5000:5001/app", ".host/app", "host./app",
        "É/app",
        # tags
        "app:.tag", "app:-tag", "app:tag/more", "app:a:b", "app:" + "a" * 129, "app:tág", "app:ta g",
        # digests
        "app@sha256:" + "f" * 34, "app@invalid:" + "f" * 64, "app@sha256:" + "F" * 64, "app@SHA256:" + "f" * 64,
        f"app@{SHA256}@{SHA256}", f"app@{SHA256}:tag", f"app@{SHA256}/x", "app@tarsum.v1+sha256:" + "f" * 64,
    ],
)  # fmt: skip
def test_a6_what_the_grammar_does_not_allow_is_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        Reference.parse(text)


@pytest.mark.parametrize("digest", [SHA256, SHA512])
def test_tag_and_digest_may_stand_together(digest: str) -> None:
    reference = Reference.parse(f"busybox:latest@{digest}")
    assert reference == Reference("docker.io", "library/busybox", "latest", Digest.parse(digest))
    assert str(reference) == f"docker.io/library/busybox:latest@{digest}"
    assert reference.familiar() == f"busybox:latest@{digest}"


@pytest.mark.parametrize(
    ("full", "familiar"),
    [
        ("docker.io/library/ubuntu-12.04-base", "ubuntu-12.04-base"),
        ("docker.io/library/foo:tag", "foo:tag"),
        ("docker.io/foo/bar", "foo/bar"),
        ("docker.io/other/library", "other/library"),
        ("docker.io/library/foo/bar", "library/foo/bar"),
        ("127.0.0.1:8000/private/moonbase", "127.0.0.1:8000/private/moonbase"),
        ("example.com/library/app", "example.com/library/app"),
        ("FOO/bar", "FOO/bar"),
        # no shorter form would be read back as the same
        ("docker.io/foo.bar/baz", "docker.io/foo.bar/baz"),
        ("docker.io/localhost/baz", "docker.io/localhost/baz"),
        (f"docker.io/library/{IMAGE_ID}", f"library/{IMAGE_ID}"),
    ],
)
def test_the_familiar_form_is_what_people_type(full: str, familiar: str) -> None:
    reference = Reference.parse(full)
    assert reference.familiar() == familiar
    assert str(reference) == full


@given(references())
def test_full_and_familiar_forms_are_read_back_as_the_same(reference: Reference) -> None:
    assert Reference.parse(str(reference)) == reference
    assert Reference.parse(reference.familiar()) == reference
    assert len(reference.familiar()) <= len(str(reference))


@given(st.text("aA0.:/@[]-_% \n\0é", max_size=12) | st.text(max_size=12))
def test_any_text_is_refused_or_read_back_as_the_same(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return
    assert Reference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("registry", "repository"),
    [("host", "app"), ("docker.io", "debian"), ("index.docker.io", "library/debian"), ("example.com", "")],
)
def test_a_name_that_would_be_read_back_as_another_is_not_born(registry: str, repository: str) -> None:
    with pytest.raises(InvalidReference):
        Reference(registry, repository)


def test_a_repository_may_have_255_characters_and_a_tag_128() -> None:
    longest = "/".join(["a"] * 128)
    assert len(longest) == MAX_REPOSITORY == 255
    reference = Reference.parse(f"registry.example.com:5000/{longest}:{'t' * 128}")
    assert reference.repository == longest


def test_a_repository_of_256_characters_is_refused() -> None:
    with pytest.raises(InvalidReference, match="too long"):
        Reference.parse("example.com/" + "a" * 256)


def test_the_hubs_library_counts_as_part_of_the_name() -> None:
    with pytest.raises(InvalidReference, match="too long"):
        Reference.parse("a" * 250)


def test_an_upper_case_repository_is_told_why_it_is_refused() -> None:
    with pytest.raises(InvalidReference, match="lower case"):
        Reference.parse("team/App")


def test_a_url_is_told_to_leave_out_its_scheme() -> None:
    with pytest.raises(InvalidReference, match="Leave out the scheme"):
        Reference.parse("https://example.com/app")


def test_an_error_of_a_part_names_the_whole_reference() -> None:
    with pytest.raises(InvalidReference) as refusal:
        Reference.parse("example.com/team/app:.tag")
    assert refusal.value.reference == "'example.com/team/app:.tag'"


def test_a_reference_without_tag_and_digest_means_latest() -> None:
    assert str(Reference.parse("app").tagged()) == "docker.io/library/app:latest"
    assert Reference.parse("app:1").tagged() == Reference.parse("app:1")
    assert Reference.parse(f"app@{SHA256}").tagged() == Reference.parse(f"app@{SHA256}")


def test_another_tag_lets_go_of_the_digest_and_a_pin_keeps_the_tag() -> None:
    reference = Reference.parse(f"app:1@{SHA256}")
    assert str(reference.with_tag("2")) == "docker.io/library/app:2"
    assert str(reference.with_digest(Digest.parse(SHA512))) == f"docker.io/library/app:1@{SHA512}"
    assert reference.name == "docker.io/library/app"


def test_a_bad_tag_cannot_be_put_on_later() -> None:
    with pytest.raises(InvalidReference):
        Reference.parse("app").with_tag("../x")


def test_references_can_be_sorted_with_and_without_tags() -> None:
    texts = ["b.io/app", "a.io/app:2", "a.io/app", f"a.io/app@{SHA256}", "a.io/app:1"]
    assert [str(r) for r in sorted(map(Reference.parse, texts))] == [
        "a.io/app",
        f"a.io/app@{SHA256}",
        "a.io/app:1",
        "a.io/app:2",
        "b.io/app",
    ]


def test_references_are_values() -> None:
    assert len({Reference.parse("app"), Reference.parse("docker.io/library/app"), Reference.parse("app:1")}) == 2


@pytest.mark.parametrize(
    "tag", ["../../etc/cron.d/x", "a/b", ".", "..", "", "a" * 129, "a\0", "con\n", "a b", "a:b", "a@b", "ä", "٣"]
)
def test_a5_a_tag_that_could_be_a_path_is_no_tag(tag: str) -> None:
    assert not is_tag(tag)


@pytest.mark.parametrize("tag", ["latest", "1", "_", "V1.2-rc_3", "a" * 128, "con"])
def test_a5_a_tag_of_the_grammar_is_one(tag: str) -> None:
    assert is_tag(tag)


@pytest.mark.parametrize(
    "registry",
    ["[1]", "[::::::]", "[:]", "[1::2::3]", "[12345::]", "[1:2:3:4:5:6:7]:5000", "a" * 64 + ".io", "a." * 126 + "io"],
)
def test_a6_a_host_that_no_resolver_can_be_asked_for_is_no_registry(registry: str) -> None:
    assert not is_registry(registry)
    with pytest.raises(InvalidReference):
        Reference.parse(f"{registry}/app")


@pytest.mark.parametrize("registry", ["a" * 63 + ".io", "a." * 125 + "com", "a." * 125 + "com:65535", "[1::2]:1"])
def test_the_longest_hosts_are_registries(registry: str) -> None:
    assert is_registry(registry)


def test_a_very_long_host_is_judged_in_linear_time() -> None:
    assert not is_registry("a-" * 500_000)
    assert not is_registry("a." * 500_000)
