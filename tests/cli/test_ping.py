"""`puller ping`: each set-up that is wrong is told in words, with what to do about it."""

import json
from pathlib import Path
from typing import get_args

import pytest

from puller.cli.pinging import encoded, told
from puller.contracts.access import Protection
from puller.errors import ConnectionLost, Unauthorized
from puller.registry.pinging import finding as findings
from puller.registry.pinging.finding import Verdict
from testregistry import Basic, Bearer, TestRegistry, certificates, faults
from tests.cli.conftest import Puller
from tests.cli.machine import DEAD, Machine
from tests.cli.picture import IMAGE
from tests.cli.serving import serving
from tests.cli.test_secrets import settings

MARKER = "s3cret-Marker"
WILD = "\x1b[2J\x1b]52;c;b3duZWQ=\x07\r\n\u202e"
SHOWN = findings.Certificate(WILD, WILD, (WILD,), "2020-01-01", -3)
ATTEMPT = findings.Attempt("::1", 0.1, WILD)
FAIL = Verdict.FAIL
EVERY = [
    findings.SetUp(FAIL, WILD, WILD, Protection.ANY, (WILD,), (WILD,), WILD, (WILD,), WILD),
    findings.Named(FAIL, WILD, problem=WILD),
    findings.Named(Verdict.OK, WILD, ("127.0.0.1",), ("::1",)),
    findings.Reached(FAIL, 443, (ATTEMPT,), WILD),
    findings.Reached(Verdict.WARN, 443, (ATTEMPT,)),
    findings.Secured(Verdict.WARN, WILD, SHOWN),
    findings.Secured(Verdict.OK, WILD, None),
    *(
        findings.Unsecured(FAIL, problem, WILD, WILD, WILD, SHOWN, (WILD,), shown)
        for problem in get_args(findings.Insecurity)
        for shown in (True, False)
    ),
    *(
        findings.Greeted(FAIL, 200, WILD, (WILD,), WILD, WILD, keeps=True, problem=problem)
        for problem in get_args(findings.Oddity)
    ),
    findings.Tokens(FAIL, WILD, trusted=False, has_account=True, problem=WILD),
    findings.Tokens(Verdict.WARN, WILD, trusted=False, has_account=True),
    findings.Clock(Verdict.WARN, -90.0),
    findings.Admitted(FAIL, WILD, True, True, WILD, WILD),
    findings.Admitted(Verdict.OK, "", False, True),
    findings.Mirrored(Verdict.WARN, WILD, None, WILD),
    findings.Listed(Verdict.OK, 1000, True, (WILD,)),
    findings.Resolved(Verdict.WARN, WILD, "", WILD),
    findings.Ranged(Verdict.WARN, False, 200, WILD),
    findings.Referred(Verdict.NOTE, False, 1),
    findings.Quota(Verdict.OK, None, 76, 21600),
    findings.Untried(Verdict.NOTE),
    findings.Trouble(FAIL, "registry", ConnectionLost(WILD, got=WILD, hint=WILD)),
    findings.Trouble(FAIL, "proxy", Unauthorized(WILD)),
]


@pytest.fixture
def authority(tmp_path: Path) -> certificates.Authority:
    return certificates.Authority(tmp_path)


def test_a_registry_that_is_all_right_is_told_line_by_line(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    end = puller("ping", registry.name("app:1"))
    assert (end.code, end.err) == (0, "")
    marks = [(line[:5].strip(), line[6:18].strip()) for line in end.out.splitlines()[:-1]]
    assert marks == [
        ("-", "set-up"),
        ("ok", "connection"),
        ("ok", "registry"),
        ("ok", "clock"),
        ("ok", "account"),
        ("ok", "tags"),
        ("ok", "manifest"),
        ("ok", "ranges"),
        ("ok", "referrers"),
        ("-", "not tried"),
    ]
    assert end.out.endswith(f"{registry.name('app:1')} can be used\n")


def test_a_registry_alone_is_asked_for_no_repository(puller: Puller, registry: TestRegistry) -> None:
    assert puller("ping", registry.host).code == 0
    assert [request.path for request in registry.journal] == ["/v2/", "/v2/"]


def test_findings_are_data_with_json_and_the_verdict_comes_last(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    end = puller("ping", registry.name("app:1"), "--json")
    *found, verdict = [json.loads(line) for line in end.out.splitlines()]
    assert verdict == {"finding": "verdict", "usable": True}
    assert {"finding", "verdict", "topic", "text"} <= set.intersection(*map(set, found))
    by_name = {one["finding"]: one for one in found}
    assert by_name["greeted"]["status"] == 200
    assert by_name["setup"]["protection"] == "usual"
    assert by_name["listed"]["sample"] == ["1"]


def test_a_registry_that_cannot_be_used_is_exit_1_with_what_to_do(
    puller: Puller, authority: certificates.Authority
) -> None:
    with serving() as registry:
        end = puller("ping", registry.host, "--ca", str(authority.file))
    assert end.code == 1
    assert f"--plain-http {registry.host}" in end.out
    assert end.out.endswith(f"{registry.host} cannot be used as it is set up\n")


def test_what_is_no_registry_and_no_image_is_refused(puller: Puller) -> None:
    assert puller("ping", "https://registry.example/v2/").code == 2


def test_the_account_that_is_used_is_named(puller: Puller, home: Path) -> None:
    with serving(auth=Bearer({"me": MARKER}, anonymous=set())) as registry:
        settings(home, registry.host)
        end = puller("ping", registry.host, "--plain-http", registry.host)
        assert end.code == 0
        assert f"{home}/.docker/config.json" in end.out
        assert "is let in" in end.out
        assert MARKER not in end.out


def test_a_wrong_password_and_no_account_are_told_apart(puller: Puller, home: Path) -> None:
    with serving(auth=Basic({"me": MARKER})) as registry:
        nobody = puller("ping", registry.host, "--plain-http", registry.host)
        settings(home, registry.host, password="wrong")
        wrong = puller("ping", registry.host, "--plain-http", registry.host)
    assert (nobody.code, wrong.code) == (1, 1)
    assert "strangers are not let in: " in nobody.out
    assert f"in {home}/.docker/config.json) is refused: GET /v2/: " in wrong.out
    assert "Its password or token is wrong" in wrong.out


def test_authorities_of_certs_d_are_told_and_used(
    puller: Puller, tmp_path: Path, authority: certificates.Authority, home: Path
) -> None:
    with serving(tls=authority.server()) as registry:
        folder = tmp_path / "root" / "etc" / "docker" / "certs.d" / registry.host
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(authority.file.read_bytes())
        end = puller("ping", registry.host)
    assert end.code == 0
    assert f"trusting {folder}/ca.crt, too" in end.out
    assert "TLSv1.3, certificate of 127.0.0.1 issued by testregistry authority" in end.out


def test_where_only_a_mirror_answers_that_is_said_and_still_a_failure(
    puller: Puller, tmp_path: Path, registry: TestRegistry
) -> None:
    Machine(tmp_path, puller).mirrored(DEAD, registry.host)
    end = puller("ping", DEAD)
    assert end.code == 1
    assert end.out.endswith("as it is set up; a mirror of it answers, and pulls of what that has do without it\n")


def test_every_registry_that_a_short_name_may_be_at_is_asked(
    puller: Puller, tmp_path: Path, registry: TestRegistry
) -> None:
    registry.add("app:1", IMAGE)
    with serving() as other:
        other.add("app:1", IMAGE)
        folder = tmp_path / "root" / "etc" / "containers"
        folder.mkdir(parents=True)
        searched = (
            f'unqualified-search-registries = ["{registry.host}", "{other.host}"]\nshort-name-mode = "disabled"\n'
        )
        (folder / "registries.conf").write_text(searched)
        end = puller("ping", "app")
    assert end.code == 0
    assert [f"{one.host} is asked at" in end.out for one in (registry, other)] == [True, True]


def test_debug_tells_the_requests_of_a_ping_on_stderr(puller: Puller, registry: TestRegistry) -> None:
    end = puller("ping", registry.host, "--debug", "--json")
    assert end.err.count("#1 GET ") == 1
    assert all(isinstance(json.loads(line), dict) for line in end.out.splitlines())


@pytest.mark.parametrize(
    "quota",
    [
        {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"},
        {"RateLimit-Policy": '"default";q=100;w=21600', "RateLimit": '"default";r=76;t=30'},
    ],
    ids=["hub", "ietf"],
)
def test_a_quota_is_told_in_pulls_and_hours(puller: Puller, registry: TestRegistry, quota: dict[str, str]) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(faults.headers(None, add=quota, kind="manifest", times=None))
    assert "76 of 100 pulls per 6 hours are left" in puller("ping", registry.name("app:1")).out


@pytest.mark.parametrize("finding", EVERY, ids=lambda finding: type(finding).__name__)
def test_c22_no_finding_can_act_on_a_terminal(finding: findings.Finding) -> None:
    assert told(finding).replace("\n", "").isprintable()
    assert json.dumps(encoded(finding)).isprintable()
