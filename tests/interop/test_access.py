"""Real images behind docker-registry's own doors: a password file, tokens, TLS."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.access import Account, password_file, token_server
from bench.cache import Cache
from bench.certificate import self_signed
from bench.layout import Image
from bench.push import repository
from bench.registry import Tls, serve
from tests.interop.conftest import SET
from tests.interop.puller import Puller
from tests.tools import skipping_without_tools

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# A colon in the password: only the first one divides (RFC 7617 §2).
ALICE = Account("alice", "open:sesame-4711")


def test_an_image_is_pulled_with_the_password_of_the_docker_configuration(
    cache: Cache, images: Mapping[str, Image], puller: Puller, tmp_path: Path
) -> None:
    with skipping_without_tools():
        access = password_file(tmp_path / "htpasswd", ALICE)
    with serve(cache.registry, tmp_path / "registry", access=access) as registry:
        puller.log_in(registry.host, ALICE)
        reference = registry.name(repository(SET, "small"))
        puller.pull(reference)
    assert puller.names() == {reference: images["small"].digest}


def test_without_credentials_a_password_is_asked_for_in_words(
    cache: Cache, images: Mapping[str, Image], puller: Puller, tmp_path: Path
) -> None:
    with skipping_without_tools():
        access = password_file(tmp_path / "htpasswd", ALICE)
    with serve(cache.registry, tmp_path / "registry", access=access) as registry:
        ended = puller.run(*puller.pull_words(registry.name(repository(SET, "small"))))
    assert ended.status == 1
    assert registry.host in ended.errors
    assert "Traceback" not in ended.errors


def test_an_image_is_pulled_with_tokens_of_a_token_server(
    cache: Cache, images: Mapping[str, Image], puller: Puller, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path / "keys", "tokens")
    with (
        token_server(certificate, ALICE) as tokens,
        serve(cache.registry, tmp_path / "registry", access=tokens) as registry,
    ):
        puller.log_in(registry.host, ALICE)
        reference = registry.name(repository(SET, "many"))
        # The realm is a plain HTTP origin of its own and wants to be allowed by name.
        realm_host = tokens.realm.split("/")[2]
        puller.pull(reference, "--plain-http", realm_host)
    assert puller.names() == {reference: images["many"].digest}
    assert tokens.issued == [f"repository:{repository(SET, 'many')}:pull"]


def test_a_wrong_password_at_the_token_server_is_refused_without_showing_it(
    cache: Cache, images: Mapping[str, Image], puller: Puller, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path / "keys", "tokens")
    wrong = Account(ALICE.user, "not-the-right-word-0815")
    with (
        token_server(certificate, ALICE) as tokens,
        serve(cache.registry, tmp_path / "registry", access=tokens) as registry,
    ):
        puller.log_in(registry.host, wrong)
        words = puller.pull_words(registry.name(repository(SET, "small")))
        ended = puller.run(*words, "--plain-http", tokens.realm.split("/")[2])
    assert ended.status == 1
    assert tokens.issued == []
    assert wrong.password not in ended.errors + ended.out
    assert wrong.basic not in ended.errors + ended.out


def test_an_image_is_pulled_over_tls_with_an_authority_of_its_own(
    cache: Cache, images: Mapping[str, Image], puller: Puller, tmp_path: Path
) -> None:
    certificate = self_signed(tmp_path / "keys", "registry")
    tls = Tls(certificate.certificate, certificate.key)
    with serve(cache.registry, tmp_path / "registry", tls=tls) as registry:
        reference = registry.name(repository(SET, "small"))
        refused = puller.run("pull", reference, "--quiet")
        puller.pull(reference, "--ca", str(certificate.certificate))
    assert refused.status == 1
    assert puller.names() == {reference: images["small"].digest}
