"""Unpacking: what `puller unpack` does with its words."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from puller.cli import interrupt
from puller.cli.environment import processors
from puller.cli.lines import counted, size_text
from puller.cli.logs import unheard_of
from puller.cli.options import Where
from puller.cli.reporting import check_report_file, write_report
from puller.cli.screen import Style, screen_for
from puller.cli.workbench import subject, told, workbench
from puller.errors import InvalidConfig
from puller.model.report import SCHEMA, UnpackReport
from puller.model.text import printable
from puller.ops.graphs.names import Found
from puller.ops.unpack import unpack
from puller.rootfs.crew import Crew
from puller.rootfs.flat import Flat
from puller.rootfs.idmap import SAME
from puller.rootfs.manner import Manner
from puller.rootfs.powers import Powers


@dataclass(frozen=True, slots=True)
class Order:
    """The words of one `puller unpack`."""

    text: str
    target: Path
    where: Where
    manner: Manner


def unpack_one(order: Order, *, report_file: Path | None, style: Style) -> int:
    """Unpack one image into one directory; the exit code. After Ctrl-C there is no directory."""
    maps = order.manner.uids, order.manner.gids
    if maps != (SAME, SAME) and not Powers.of_this_process().owners:
        hint = "Run it as root, or without the maps: owners are kept in the sidecar then."
        raise InvalidConfig("owners cannot be mapped without the right to give files away", hint=hint)
    check_report_file(report_file)
    with screen_for(style, several=False) as screen:

        async def main() -> tuple[Found, UnpackReport]:
            async with workbench(order.where, report=screen.show) as bench:
                with Crew(order.manner) as crew, Flat(order.target, crew) as flat:
                    crew.start()
                    found = await bench.find(order.text)
                    return found, await unpack(
                        bench.present(found),
                        flat,
                        subject=subject(found),
                        path=str(order.target),
                        workers=anyio.CapacityLimiter(processors()),
                        report=screen.show,
                    )

        warn = unheard_of if style == "quiet" else screen.note
        found, report = interrupt.run(main, warn=warn, left="nothing was unpacked")
        name = str(subject(found))
        done = {"event": "done", "reference": name, "report": asdict(report)}
        screen.result(json.dumps(done) if style == "json" else result_line(told(found), report))
    write_report(report_file, {"schema": SCHEMA, "unpacked": [{"reference": name, **asdict(report)}]})
    return 0


def result_line(name: str, report: UnpackReport) -> str:
    """`unpacked docker.io/library/debian:bookworm into root  1 layer, 8123 entries, 156.2 MB, 0.6 s`."""
    entries = sum(layer.entries for layer in report.layers)
    contents = f"{counted(len(report.layers), 'layer')}, {entries} entries, {size_text(report.size)}"
    return f"unpacked {name} into {printable(report.path)}  {contents}, {report.seconds:.1f} s"
