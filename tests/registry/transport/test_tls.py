import ssl
from pathlib import Path

import pytest

from puller.contracts.access import Trust
from puller.errors import InvalidConfig
from puller.registry.transport.tls import tls_context
from testregistry.certificates import Authority


def test_certificates_and_names_are_checked_and_old_versions_refused() -> None:
    context = tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_given_authority_joins_those_of_the_system(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert len(tls_context(Trust((authority.file,))).get_ca_certs()) == len(tls_context().get_ca_certs()) + 1


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_certificates_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.pem").write_text(content)
    with pytest.raises(InvalidConfig):
        tls_context(Trust((tmp_path / "ca.pem",)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="none"):
        tls_context(Trust((tmp_path / "none.pem",)))
