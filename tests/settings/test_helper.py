"""Credential helpers: what they are asked, what is believed of their answers, and how they may go wrong."""

import logging
import os
import time
from pathlib import Path

import anyio
import pytest

from puller.contracts.access import Credential
from puller.errors import HelperFailed
from puller.settings.dockerconfig import Helped
from puller.settings.helper import MAX_ANSWER, Helpers
from tests.settings.programs import Shelf, answering, gone, lives, written

pytestmark = pytest.mark.slow  # many small tests: for `make test`

MARKER = "marker-secret"
GHCR = Helped("fake", "ghcr.io")
HUB = Helped("fake", "https://index.docker.io/v1/")


async def broken(shelf: Shelf, account: Helped = GHCR, *, timeout: float = 20.0) -> HelperFailed:
    """The error of a `get`; no secret is in it, nor in what it comes from."""
    with pytest.raises(HelperFailed, match=f"docker-credential-{account.helper}") as caught:
        await shelf.helpers(timeout).get(account)
    error: BaseException | None = caught.value
    while error is not None:
        assert MARKER not in f"{error} {error!r} {getattr(error, 'facts', dict)()} {error.args}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return caught.value


@pytest.mark.parametrize("account", [GHCR, HUB])
async def test_a_helper_is_asked_for_the_server_on_stdin_and_believed(shelf: Shelf, account: Helped) -> None:
    shelf.add("fake", answering("ann", "sesame"))
    assert await shelf.helpers().get(account) == Credential("ann", "sesame")
    assert shelf.asked("fake") == [f"get {account.server}"]


@pytest.mark.parametrize("server", ["ghcr.io", "https://ghcr.io", "https://ghcr.io/v2/", "GHCR.io"])
async def test_the_server_in_an_answer_may_be_written_in_another_way(shelf: Shelf, server: str) -> None:
    """docker/docker-credential-helpers, credentials.Get: it repeats what it found, where it says anything."""
    shelf.add("fake", answering("ann", "sesame", f', "ServerURL": "{server}"'))
    assert await shelf.helpers().get(GHCR) == Credential("ann", "sesame")


async def test_b11_the_secret_of_another_host_is_refused(shelf: Shelf) -> None:
    shelf.add("fake", answering("ann", MARKER, ', "ServerURL": "https://index.docker.io/v1/"'))
    error = await broken(shelf)
    assert "another registry" in str(error)
    assert (error.wanted, error.got, error.host) == ("ghcr.io", "docker.io", "ghcr.io")


async def test_b15_a_secret_in_place_of_a_server_is_not_shown(shelf: Shelf) -> None:
    shelf.add("fake", answering("ann", MARKER, f', "ServerURL": "https://ann:{MARKER}@quay.io"'))
    assert (await broken(shelf)).got is None


async def test_the_user_name_token_means_an_identity_token(shelf: Shelf) -> None:
    shelf.add("fake", answering("<token>", "abc.def"))
    assert await shelf.helpers().get(GHCR) == Credential("", "", "abc.def")


async def test_what_the_protocol_says_of_unknown_servers_is_no_error(shelf: Shelf) -> None:
    shelf.add("fake", "echo credentials not found in native keychain; exit 1")
    assert await shelf.helpers().get(GHCR) is None


async def test_an_answer_of_nothing_is_nobody(shelf: Shelf) -> None:
    shelf.add("fake", answering("", ""))
    assert await shelf.helpers().get(GHCR) is None


BROKEN = {
    "fails": f"echo {MARKER}; echo {MARKER} >&2; exit 1",
    "prints its secret on stderr and nothing on stdout": f"echo {MARKER} >&2",
    "is killed": "kill -9 $$",
    "no JSON": f"echo {MARKER}",
    "no object": f"""echo '["{MARKER}"]'""",
    "cut short": f"""printf '{{"Username": "ann", "Secret": "{MARKER}'""",
    "numbers": """echo '{"Username": 7, "Secret": 8}'""",
    "twice": f"""echo '{{"Username": "ann", "Secret": "{MARKER}", "Secret": "x"}}'""",
    "a secret without a user": answering("", MARKER),
    "a user without a secret": answering(MARKER, ""),
    "a line feed": answering("ann", f"{MARKER}\\\\n"),
    "a colon in the user name": answering(f"{MARKER}:x", MARKER),
    "says too much": f"printf %{MAX_ANSWER + 1}s x",
    "never stops talking": "while :; do echo marker-secret-marker-secret-marker-secret-marker-secret; done",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
async def test_b11_b15_a_broken_helper_is_an_error_that_names_it_and_shows_no_secret(
    shelf: Shelf, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shelf.add("fake", body)
    await broken(shelf)
    assert MARKER not in caplog.text


async def test_ten_megabytes_are_not_kept(shelf: Shelf) -> None:
    shelf.add("fake", "head -c 10000000 /dev/zero")
    assert "says too much" in str(await broken(shelf))


async def test_the_status_of_a_failure_is_told_and_how_to_see_its_reason(shelf: Shelf) -> None:
    shelf.add("fake", "exit 7")
    error = await broken(shelf)
    assert error.got == "exit status 7"
    assert error.hint.endswith("echo ghcr.io | docker-credential-fake get")


async def test_an_excuse_of_the_protocol_is_told(shelf: Shelf) -> None:
    shelf.add("fake", "echo no credentials server URL; exit 1")
    assert (await broken(shelf)).got == "exit status 1, no credentials server URL"


async def test_b11_a_helper_that_is_not_there_is_an_error(shelf: Shelf) -> None:
    error = await broken(shelf, Helped("fake", "ghcr.io", "credsStore in /home/ann/.docker/config.json"))
    assert "not on the PATH (credsStore in /home/ann/.docker/config.json)" in str(error)


async def test_a_file_that_cannot_be_run_is_no_helper(shelf: Shelf) -> None:
    shelf.add("fake", answering("ann", "sesame"))
    (shelf.folder / "docker-credential-fake").chmod(0o644)
    (shelf.folder / "docker-credential-dir").mkdir()
    assert "not on the PATH" in str(await broken(shelf))
    assert "not on the PATH" in str(await broken(shelf, Helped("dir", "ghcr.io")))


async def test_a_helper_that_the_system_cannot_start_is_an_error(shelf: Shelf) -> None:
    shelf.add("fake", "")
    (shelf.folder / "docker-credential-fake").write_bytes(b"\x7fELF no program")
    assert "cannot be run" in str(await broken(shelf))


@pytest.mark.parametrize("path", ["", ".", "bin", "::", "bin:."])
async def test_b11_no_program_of_the_working_directory_is_a_helper(
    shelf: Shelf, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.add("fake", answering("ann", "sesame"))
    monkeypatch.chdir(shelf.folder if path != "bin" else shelf.folder.parent)
    with pytest.raises(HelperFailed, match="not on the PATH"):
        await Helpers({"PATH": path}).get(GHCR)


async def test_a_helper_gets_the_environment_and_no_secret_in_it_or_in_its_words(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add("fake", f"env >'{tmp_path}/env'; echo \"$0 $*\" >'{tmp_path}/words'")
    helpers = Helpers({**shelf.environ, "AWS_PROFILE": "work"})
    await helpers.store(GHCR, Credential("ann", MARKER))
    assert "AWS_PROFILE=work" in (tmp_path / "env").read_text()
    assert MARKER not in (tmp_path / "env").read_text() + (tmp_path / "words").read_text()


async def test_what_is_stored_is_had_again_and_can_be_erased(shelf: Shelf) -> None:
    shelf.keeping("fake")
    helpers = shelf.helpers()
    for account, credential in ((GHCR, Credential("ann", 'ses"ame\\ä')), (HUB, Credential("", "", "abc.def"))):
        await helpers.store(account, credential)
        assert await helpers.get(account) == credential
        assert await helpers.erase(account)
        assert await helpers.get(account) is None
        assert not await helpers.erase(account)


@pytest.mark.parametrize("verb", ["store", "erase"])
async def test_b15_a_helper_that_fails_to_keep_or_forget_is_an_error_without_the_secret(
    shelf: Shelf, verb: str
) -> None:
    shelf.add("fake", "echo $server; echo $server >&2; exit 3")
    helpers = shelf.helpers()
    with pytest.raises(HelperFailed, match=r"docker-credential-fake failed.*exit status 3") as caught:
        await (helpers.store(GHCR, Credential("ann", MARKER)) if verb == "store" else helpers.erase(GHCR))
    assert MARKER not in str(caught.value)


async def test_a_helper_that_reads_nothing_holds_nobody_up(shelf: Shelf) -> None:
    shelf.add("fake", "")
    path = shelf.folder / "docker-credential-fake"
    path.write_text("#!/bin/sh\n" + answering("ann", "sesame"))
    assert await shelf.helpers().get(GHCR) == Credential("ann", "sesame")


HANGING = "sleep 1000 & echo $! >'{file}'; wait"


async def test_a_helper_that_hangs_is_killed_with_all_that_it_has_started(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add("fake", HANGING.format(file=tmp_path / "pid"))
    began = time.monotonic()
    error = await broken(shelf, timeout=0.4)
    assert time.monotonic() - began < 10
    assert (error.got, error.wanted) == ("none within 0.4 s", "an answer")
    assert await gone(int((tmp_path / "pid").read_text()))


async def test_a_helper_that_has_closed_its_output_and_stays_is_late_too(shelf: Shelf) -> None:
    shelf.add("fake", "exec >&-; sleep 1000")
    assert (await broken(shelf, timeout=0.3)).got == "none within 0.3 s"


async def test_a_cancelled_question_kills_the_helper_at_once(shelf: Shelf, tmp_path: Path) -> None:
    shelf.add("fake", HANGING.format(file=tmp_path / "pid"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shelf.helpers(1000).get, GHCR)
        pid = await written(tmp_path / "pid")
        tasks.cancel_scope.cancel()
    assert await gone(pid)


async def test_a_daemon_that_a_helper_leaves_behind_is_not_waited_for_nor_killed(shelf: Shelf, tmp_path: Path) -> None:
    """gpg-agent is started so by docker-credential-pass; here it even keeps the helper's stdout open."""
    shelf.add("fake", f"{answering('ann', 'sesame')}; sleep 1000 & echo $! >'{tmp_path}/pid'")
    began = time.monotonic()
    assert await shelf.helpers().get(GHCR) == Credential("ann", "sesame")
    assert time.monotonic() - began < 10
    daemon = int((tmp_path / "pid").read_text())
    assert lives(daemon)
    os.kill(daemon, 9)
