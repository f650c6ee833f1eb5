"""one_error: what comes out of a task group."""

import anyio
import pytest

from puller.errors import ConnectionLost, DigestMismatch, InvalidCompression, InvalidManifest, NoSpace, PullerError
from puller.ops.tasks import one_error

LOST = ConnectionLost("the line was cut")
WRONG = DigestMismatch("content has another digest")


def test_a_single_error_comes_out_as_itself() -> None:
    with pytest.raises(ConnectionLost) as caught, one_error():
        raise ExceptionGroup("tasks", [LOST])
    assert caught.value is LOST


@pytest.mark.parametrize(
    ("graver", "lesser"),
    [
        (DigestMismatch("a"), InvalidCompression("b")),
        (InvalidCompression("a"), NoSpace("b")),
        (NoSpace("a"), InvalidManifest("b")),
        (InvalidManifest("a"), ConnectionLost("b")),
        (ConnectionLost("a"), ValueError("b")),
    ],
)
def test_of_several_the_gravest_comes_out_whatever_their_order(graver: PullerError, lesser: Exception) -> None:
    for order in ([graver, lesser], [lesser, graver]):
        with pytest.raises(PullerError) as caught, one_error():
            raise ExceptionGroup("tasks", order)
        assert caught.value is graver


def test_the_others_become_notes() -> None:
    wrong = DigestMismatch("content has another digest")
    with pytest.raises(DigestMismatch) as caught, one_error():
        raise ExceptionGroup("tasks", [LOST, ExceptionGroup("inner", [wrong])])
    assert caught.value.__notes__ == ["also: ConnectionLost: the line was cut"]


def test_an_interrupt_outranks_every_failure() -> None:
    with pytest.raises(KeyboardInterrupt), one_error():
        raise BaseExceptionGroup("tasks", [WRONG, KeyboardInterrupt()])


def test_an_error_without_a_group_passes() -> None:
    with pytest.raises(ValueError, match="plain"), one_error():
        raise ValueError("plain")


async def test_the_first_failure_of_a_task_group_stops_the_others_and_comes_out() -> None:
    async def fail() -> None:
        raise LOST

    async def work() -> None:
        with one_error():
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 60)
                group.start_soon(fail)

    with pytest.raises(ConnectionLost):
        await work()
