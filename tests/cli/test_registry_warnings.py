"""What a registry warns of, as a user sees it: one line each on stderr, and nothing else changes."""

from testregistry import TestRegistry, faults
from testregistry.fault import Fault
from tests.cli.conftest import Puller
from tests.cli.picture import IMAGE


def warning(text: str) -> Fault:
    return faults.headers(add=[("Warning", f'299 - "{text}"')], times=None)


def test_a_warning_of_the_registry_is_one_line_on_stderr(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(warning("moves to new.example in May"))
    end = puller(registry.name("app:1"))
    assert end.code == 0
    assert end.err.count(f"warning: {registry.host} says: moves to new.example in May\n") == 1
    assert "new.example" not in end.out


def test_whoever_wants_to_hear_nothing_hears_nothing_of_it(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(warning("moves to new.example in May"))
    assert puller(registry.name("app:1"), "-q").err == ""


def test_c22_a_warning_cannot_drive_the_terminal(puller: Puller, registry: TestRegistry) -> None:
    registry.add("app:1", IMAGE)
    registry.faults.append(warning("\x1b]0;owned\x07 \x9bm"))
    end = puller(registry.name("app:1"))
    assert "\x1b" not in end.err
    assert "\x9b" not in end.err
