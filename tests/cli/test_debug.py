"""`--debug`: every request on stderr, whatever else is shown, without secrets."""

import json
import re
from pathlib import Path

import pytest

from puller.cli.debugging import debug_line, time_text
from puller.model.exchange import Asked, Remarked, Retried, Unanswered
from testregistry import Bearer, TestRegistry, faults
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, IMAGE
from tests.cli.serving import blob_host, serving
from tests.cli.test_terminal import on_a_terminal

pytestmark = pytest.mark.slow  # many small tests: for `make test`

_STAMPED = re.compile(r"\[ *[0-9]+\.[0-9]{3}\] ")


def debugged(text: str) -> list[str]:
    """The lines of `--debug`, without their times."""
    return [_STAMPED.sub("", line) for line in text.splitlines() if _STAMPED.match(line)]


def test_without_debug_no_request_is_shown(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    assert debugged(puller(registry.name("app:1")).err) == []


@pytest.mark.parametrize("style", [[], ["--json"], ["--quiet"]], ids=["people", "json", "quiet"])
def test_every_request_is_a_line_on_stderr_whatever_the_style(puller: Puller, style: list[str]) -> None:
    with serving() as registry:
        registry.add("app:1", IMAGE)
        end = puller(registry.name("app:1"), "--debug", *style)
        asked = [f"{request.method} {registry.url}{request.path}" for request in registry.journal]
    lines = debugged(end.err)
    told = [" ".join(line.split(" ")[1:3]) for line in lines if re.match(r"#[0-9]+ [A-Z]+ ", line)]
    assert sorted(told) == sorted(asked)
    assert debugged(end.out) == []
    if style == ["--json"]:
        assert all(isinstance(json.loads(line), dict) for line in end.out.splitlines())


def test_lines_tell_new_and_reused_connections_the_token_the_redirect_and_the_retry(puller: Puller) -> None:
    with serving(auth=Bearer({"me": "x"})) as registry:
        with blob_host(registry) as cdn:
            registry.add("app:1", IMAGE)
            registry.faults.append(cdn.redirect())
            cdn.faults.append(faults.cut(BASE.digest, after=100))
            end = puller(registry.name("app:1"), "--debug", "--jobs", "1")
            assert end.code == 0
            text = "\n".join(debugged(end.err))
            assert f"; new connection to {registry.host} in " in text
            assert "; same connection; " in text
            assert f"token of {registry.host} for repository:app:pull, good for " in text
            assert f"redirect 307: {registry.url} → {cdn.url}/blobs/sha256:" in text
            assert "; without secrets" in text
            assert "broke off after 100 B" in text
            assert re.search(rf"^try 2 in [0-9]+ ms: blob {BASE.digest[7:19]} at ", text, re.MULTILINE)
            assert "; Range bytes=100-; " in text
    assert "?" not in text


def test_questions_that_pull_nothing_are_told_too(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    assert any(
        line.startswith("#1 HEAD ") for line in debugged(puller("digest", registry.name("app:1"), "--debug").err)
    )
    assert any("/tags/list" in line for line in debugged(puller("tags", registry.name("app"), "--debug").err))


def test_c22_what_a_server_says_cannot_act_on_the_terminal() -> None:
    asked = Asked(0.0, 1, "GET", "https://r.test/v2/")
    evil = "\x1b]52;c;AAAA\x07\r\n\u202e"
    for fact in (
        Unanswered(1.0, asked, 1.0, "Unavailable", evil),
        Retried(1.0, evil, evil, 2, 0.1, evil),
        Remarked(1.0, evil, evil),
    ):
        assert debug_line(fact).isprintable()


def test_times_are_told_in_the_unit_that_fits() -> None:
    assert [time_text(0.0123), time_text(1.3)] == ["12 ms", "1.30 s"]


@pytest.mark.slow
def test_on_a_terminal_lines_go_above_the_bars(home: Path, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    _, seen = on_a_terminal(registry.name("app:1"), "--debug", home=home)
    assert "\x1b[?25l" in seen  # a live screen
    numbers = re.findall(rf"{_STAMPED.pattern}#([0-9]+) [A-Z]+ http", seen)
    assert len(set(numbers)) == len(registry.journal) > 0
