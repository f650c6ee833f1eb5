"""Metering: what a daemon has counted, as numbers for Prometheus, and its health as a page.

Labels are mirrors, hosts, and words of this program; never tags or digests, of which there is no end, and no secret:
mirrors are named as in the configuration, which holds none.
"""

import json
import platform
from collections.abc import Callable, Iterator, Mapping

from puller.ops.syncing.health import ailments
from puller.ops.syncing.tallies import MirrorTally, Tallies
from puller.version import VERSION
from puller.web.exposition import CONTENT_TYPE, Family, Sample, exposition
from puller.web.server import Page

Number = float | int | None


def pages(
    tallies: Tallies, *, under_way: Callable[[], int], clock: Callable[[], float]
) -> dict[str, Callable[[], Page]]:
    """What is served: `/metrics` and `/healthz`."""

    def metrics() -> Page:
        return Page(exposition(families(tallies, under_way())), CONTENT_TYPE)

    def healthz() -> Page:
        wrong = ailments(tallies, clock())
        document = {"well": not wrong, "wrong": wrong, "running": list(tallies.running)[:20], "version": VERSION}
        return Page(json.dumps(document) + "\n", "application/json", 503 if wrong else 200)

    return {"/metrics": metrics, "/healthz": healthz}


def families(tallies: Tallies, under_way: int) -> Iterator[Family]:
    """All numbers."""
    build = {"version": VERSION, "python": platform.python_version()}
    yield _single("puller_build_info", "gauge", "This program.", 1, build)
    yield _single("puller_sync_start_time_seconds", "gauge", "When this daemon began.", tallies.since)
    yield _single("puller_sync_running", "gauge", "Whether a run is under way.", int(tallies.began is not None))
    yield _single("puller_sync_run_start_time_seconds", "gauge", "When the run under way began.", tallies.began)
    yield _single(
        "puller_sync_run_tags_settled", "gauge", "Tags that the run under way is through with.", tallies.settled
    )
    yield _single("puller_sync_images_under_way", "gauge", "Images being brought.", under_way)
    runs = (Sample(tallies.seconds, {}, "_sum"), Sample(tallies.runs, {}, "_count"))
    yield Family("puller_sync_run_duration_seconds", "summary", "How long runs took, of all mirrors in one.", runs)
    yield _single(
        "puller_sync_config_refused_total", "counter", "Configurations read again and refused.", tallies.refused
    )
    yield from _by_mirror(tallies.mirrors)
    yield _requests(tallies.requests)
    quotas = tuple(Sample(left, {"host": host}) for host, left in tallies.quotas.items())
    yield Family("puller_quota_remaining", "gauge", "Pulls left, as the host said last.", quotas)


def _by_mirror(mirrors: Mapping[str, MirrorTally]) -> Iterator[Family]:
    def family(
        name: str, kind: str, meaning: str, of: Callable[[MirrorTally], Mapping[str, Number] | Number], label: str = ""
    ) -> Family:
        samples = []
        for key, tally in mirrors.items():
            found = of(tally)
            numbers = found if isinstance(found, Mapping) else {"": found}
            for word, number in numbers.items():
                if number is not None:
                    samples.append(Sample(number, {"mirror": key} | ({label: word} if label else {})))
        return Family(f"puller_sync_{name}", "counter" if kind == "counter" else "gauge", meaning, tuple(samples))

    yield family("runs_total", "counter", "Runs that ended.", lambda t: {"well": t.well, "failed": t.failed}, "result")
    yield family(
        "skipped_total",
        "counter",
        "Times at which it was due and did not run: it still ran (overlap), or another process held the state (busy).",
        lambda t: {"overlap": t.skipped, "busy": t.busy},
        "reason",
    )
    yield family("tags_total", "counter", "Tags by what became of them in runs.", lambda t: dict(t.images), "action")
    yield family(
        "bytes_total",
        "counter",
        "Bytes fetched from the source, had nearby instead, and sent to the target.",
        lambda t: {"fetched": t.fetched, "near": t.near, "sent": t.sent},
        "way",
    )
    yield family("failures_total", "counter", "Tags and lists that failed in runs.", lambda t: t.failures)
    yield family("last_run_failures", "gauge", "Tags and lists that failed in the last run.", lambda t: t.failing)
    yield family(
        "last_run_well",
        "gauge",
        "Whether all of the last run went well.",
        lambda t: t.is_well if t.is_well is None else int(t.is_well),
    )
    yield family("last_run_start_time_seconds", "gauge", "When the last run began.", lambda t: t.ran)
    yield family("last_run_end_time_seconds", "gauge", "When the last run ended.", lambda t: t.ended)
    yield family("last_success_time_seconds", "gauge", "When the last run ended that went well.", lambda t: t.succeeded)
    yield family("next_run_time_seconds", "gauge", "When it is due.", lambda t: t.due)


def _requests(requests: Mapping[str, Mapping[str, int]]) -> Family:
    samples = [
        Sample(number, {"host": host, "method": method})
        for host, methods in requests.items()
        for method, number in methods.items()
    ]
    return Family("puller_sync_requests_total", "counter", "Requests of runs that ended.", tuple(samples))


def _single(name: str, kind: str, meaning: str, value: Number, labels: Mapping[str, str] | None = None) -> Family:
    samples = () if value is None else (Sample(value, labels or {}),)
    return Family(name, "counter" if kind == "counter" else "gauge", meaning, samples)
