"""What reaches a terminal: bars, plain lines where there is none, and never a control character from outside."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from puller.cli.screen import PLAIN_INTERVAL, Plain
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Advanced, Planned, Settled, Started
from puller.model.sync import Item
from testregistry import TestRegistry, faults, images
from testregistry.documents import OCI_MANIFEST
from testregistry.fault import Fault
from tests.cli.conftest import Puller
from tests.cli.picture import BASE, IMAGE, PLATFORM
from tests.cli.program import Ended, environment
from tests.cli.serving import serving

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`

# Clears the screen, sets the clipboard, rings, goes back to the line's start, turns the writing direction around.
WILD = "\x1b[2J\x1b]52;c;b3duZWQ=\x07\r\N{RIGHT-TO-LEFT OVERRIDE}\x9b31m\x00"


def is_calm(end: Ended) -> bool:
    """Whether nothing in the output could act on a terminal."""
    return (end.out + end.err).replace("\n", "").isprintable()


def refusing(status: int, body: bytes) -> list[Fault]:
    """No manifest is given out, and the reason is (HEAD has no body to give one in)."""
    return [
        faults.status(405, method="HEAD", kind="manifest", times=None),
        faults.status(status, method="GET", kind="manifest", body=body, times=None),
    ]


# --- C22 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 404])
def test_c22_a_registrys_error_message_is_shown_escaped(puller: Puller, status: int) -> None:
    body = json.dumps({"errors": [{"code": WILD, "message": f"see {WILD}", "detail": WILD}]}).encode()
    with serving(faults=refusing(status, body)) as registry:
        for words in (("pull",), ("pull", "--quiet"), ("digest",)):
            end = puller(*words, registry.name("app:1"))
            assert end.code == 1
            assert is_calm(end)
            assert "\\x1b[2J" in end.err


def test_c22_tags_with_control_characters_are_refused_and_shown_escaped(puller: Puller) -> None:
    body = json.dumps({"name": "app", "tags": ["1", WILD]}).encode()
    with serving(faults=[faults.body(None, body, kind="tags", times=None)]) as registry:
        registry.add("app:1", IMAGE)
        for words in (("tags",), ("pull", "--all-tags")):
            end = puller(*words, registry.name("app"))
            assert end.code == 1
            assert is_calm(end)


def wild_documents() -> dict[str, tuple[bytes, str]]:
    """Manifests with control characters wherever text can stand."""
    manifest = json.loads(IMAGE.raw)
    index = json.loads(images.index(IMAGE).raw)
    entry = index["manifests"][0]
    odd = [manifest["layers"][0] | {"mediaType": WILD}]
    return {
        "media type": (json.dumps(manifest | {"mediaType": WILD}).encode(), OCI_MANIFEST),
        "layer type": (json.dumps(manifest | {"layers": odd}).encode(), OCI_MANIFEST),
        "digest": (json.dumps(manifest | {"config": manifest["config"] | {"digest": WILD}}).encode(), OCI_MANIFEST),
        "annotation": (json.dumps(manifest | {"annotations": {WILD: 1}}).encode(), OCI_MANIFEST),
        "twice": (b'{"' + b"a\\u001b[2J" + b'":1,"' + b"a\\u001b[2J" + b'":2}', OCI_MANIFEST),
        "two kinds": (json.dumps(manifest | {"manifests": [WILD]}).encode(), OCI_MANIFEST),
        "version": (json.dumps(manifest | {"schemaVersion": WILD}).encode(), OCI_MANIFEST),
        "platform": (
            json.dumps(index | {"manifests": [entry | {"platform": {"os": WILD, "architecture": WILD}}]}).encode(),
            "application/vnd.oci.image.index.v1+json",
        ),
    }


@pytest.mark.parametrize("place", wild_documents())
def test_c22_no_text_of_a_manifest_reaches_the_terminal_raw(puller: Puller, registry: TestRegistry, place: str) -> None:
    raw, media_type = wild_documents()[place]
    registry.add("app", IMAGE)
    registry.add_manifest("app", raw, media_type, "1")
    end = puller(registry.name("app:1"))
    assert end.code in (1, 3)
    assert is_calm(end)


def test_c22_labels_users_and_history_are_shown_escaped(puller: Puller, registry: TestRegistry) -> None:
    wild = {
        "config": {"Labels": {WILD: WILD}, "User": WILD},
        "history": [{"created_by": WILD, "created": WILD}],
        "created": WILD,
        "architecture": WILD,
        "os": f"linux{WILD}",
    }
    image = images.image(BASE, config_extra=wild, annotations={"org.opencontainers.image.title": WILD})
    registry.add("app:1", image)
    ends = [puller(registry.name("app:1")), puller("images"), puller("inspect", registry.name("app:1"))]
    ends += [puller("images", "--json"), puller("pull", "--json", registry.name("app:1"))]
    assert [end.code for end in ends] == [0] * 5
    assert [end for end in ends if not is_calm(end)] == []
    assert json.loads(ends[2].out)["labels"] == {WILD: WILD}


def test_c22_what_the_2015_reader_says_of_a_wild_archive_is_escaped(
    puller: Puller, registry: TestRegistry, tmp_path: Path
) -> None:
    layer = images.raw_layer(WILD.encode() * 100)
    registry.add("app:1", images.image(layer, platform=PLATFORM))
    assert is_calm(puller(registry.name("app:1")))
    (tmp_path / "wild.tar").write_bytes(WILD.encode() * 100)
    assert is_calm(puller("tarsum", str(tmp_path / "wild.tar")))


def test_c22_words_of_the_user_are_shown_escaped_too(puller: Puller) -> None:
    for words in (
        [WILD],
        ["inspect", WILD],
        ["tarsum", "--label", WILD, "/dev/null"],
        ["pull", "--platform", WILD, "a"],
    ):
        assert is_calm(puller(*words))


# --- bars and lines --------------------------------------------------------------------------------------------------


def test_on_a_terminal_bars_are_drawn_and_taken_away_again(tmp_path: Path) -> None:
    layer = images.generated_layer(3 << 20, seed=3)
    with serving(faults=[faults.drip(layer.digest, rate=6 << 20)]) as registry:
        registry.add("app:1", images.image(layer, platform=PLATFORM))
        out, seen = on_a_terminal("pull", registry.name("app:1"), home=tmp_path)
        assert out.startswith(f"pulled {registry.name('app:1')}")
        assert "━" in seen
        assert "/3.1 MB" in seen
        assert "digest ✓ diff ID ✓ tarsum ✓" in seen
        assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h")  # the cursor is back
        assert "pulled" not in seen


def test_on_a_terminal_a_sync_shows_what_flows_and_whose_it_is_and_leaves_its_own_lines_alone(tmp_path: Path) -> None:
    layer = images.generated_layer(3 << 20, seed=3)
    with serving(faults=[faults.pace(layer.digest, rate=3 << 20)]) as registry:
        registry.add("app:1", images.image(layer, platform=PLATFORM))
        file, target = tmp_path / "m.yaml", f"oci:{tmp_path}/m"
        file.write_text(f"puller: 1\nmirrors:\n- {{from: {registry.host}/app, to: '{target}'}}\n")
        out, seen = on_a_terminal("sync", str(file), home=tmp_path)
        assert out.startswith(f"new       {registry.host}/app:1 → {target}:1")
        assert "━" in seen
        drawn = re.sub(r"\x1b\[[0-9;]*m", "", seen)
        assert re.search(rf"{layer.digest[7:19]} [━╸╺]+ [0-9.]+/3.1 MB +([0-9.]+ [kM]B/s)? *m:1", drawn), drawn
        left = [line for line in re.split(r"[\r\n]+|\x1b\[2K", seen) if "pushed" in line]
        assert left == []  # of a blob nothing stays


def test_on_a_terminal_text_from_outside_is_escaped_as_well(tmp_path: Path) -> None:
    body = json.dumps({"errors": [{"code": "DENIED", "message": WILD}]}).encode()
    with serving(faults=refusing(403, body)) as registry:
        out, seen = on_a_terminal("pull", registry.name("app:1"), home=tmp_path)
        assert out == ""
        assert "\\x1b[2J" in seen
        assert "\x1b[2J" not in seen
        assert "\x1b]52" not in seen


def on_a_terminal(*words: str, home: Path) -> tuple[str, str]:
    """Run with a terminal for stderr; what came on stdout, and what the terminal saw."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "puller", *words],
        env=environment(home, TERM="xterm", COLUMNS="120"),
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    seen = b""
    try:
        while chunk := os.read(ours, 65536):
            seen += chunk
    except OSError:  # Linux says so where the other side is closed
        pass
    finally:
        os.close(ours)
    out, _ = process.communicate(timeout=20)
    return out, seen.decode()


def test_away_from_a_terminal_nothing_is_drawn(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    end = puller(registry.name("app:1"))
    assert is_calm(end)
    assert "━" not in end.err


def test_a_long_blob_is_told_of_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    blob = Descriptor("x/y", Digest("sha256", "ab" * 32), 100_000_000)
    lines = Plain(several=False, clock=lambda: now[0])
    lines.show(Started(blob, 0))
    for _ in range(20):
        now[0] += PLAIN_INTERVAL / 10
        lines.show(Advanced(blob, int(now[0] * 5_000_000)))
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == [
        "          abababababab  25.0 MB of 100.0 MB  25 %",
        "          abababababab  50.0 MB of 100.0 MB  50 %",
    ]


def test_a_sync_tells_of_a_long_blob_every_minute_and_whose_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    blob = Descriptor("x/y", Digest("sha256", "ab" * 32), 100_000_000)
    lines = Plain(several=True, clock=lambda: now[0])
    lines.flow(Planned("oci:/m:1", blob, (), (("layer", blob),)))
    lines.flow(Started(blob, 5_000_000))
    for _ in range(12):
        now[0] += 10
        lines.flow(Advanced(blob, int(now[0] * 500_000)))
    lines.flow(Settled(Item("up.example/a", "1", "oci:/m", "1", "new", "", error={"what": "cut"})))
    assert not lines.images
    assert capsys.readouterr().err.splitlines() == [
        "          abababababab  30.0 MB of 100.0 MB  30 %  of oci:/m:1",
        "          abababababab  60.0 MB of 100.0 MB  60 %  of oci:/m:1",
    ]


def test_a_reader_that_goes_away_ends_the_program_without_a_traceback(tmp_path: Path) -> None:
    async def head() -> tuple[int | None, bytes]:
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", f"{sys.executable} -m puller --help | head -c 1 >/dev/null", stderr=asyncio.subprocess.PIPE,
            env=environment(tmp_path),
        )  # fmt: skip
        _, err = await process.communicate()
        return process.returncode, err

    code, err = asyncio.run(head())
    assert code == 0
    assert b"Traceback" not in err
