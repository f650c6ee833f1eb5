"""Pinging: what was found out about a registry, in words: a line for each finding, and what to do where it is bad."""

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, TypeAlias

import click

from puller.cli import interrupt
from puller.cli.debugging import time_text
from puller.cli.insecurity import certificate_remedy, unsecured
from puller.cli.lines import counted
from puller.cli.naming import short_names
from puller.cli.options import Access
from puller.cli.registries import open_client
from puller.cli.screen import Quiet
from puller.contracts.access import Protection
from puller.errors import PullerError
from puller.model.reference import DOCKER_HUB, Reference, is_registry
from puller.model.text import printable
from puller.registry.pinging.finding import (
    Admitted,
    Attempt,
    Clock,
    Finding,
    Greeted,
    Listed,
    Mirrored,
    Named,
    Quota,
    Ranged,
    Reached,
    Referred,
    Resolved,
    Secured,
    SetUp,
    Tokens,
    Trouble,
    Unsecured,
    Untried,
    Verdict,
)

# A line: what it is about, what is so, and what to do about it ("" where there is nothing to do).
Line: TypeAlias = tuple[str, str, str]

_MARKS = {Verdict.NOTE: "-", Verdict.OK: "ok", Verdict.WARN: "warn", Verdict.FAIL: "FAIL"}
_LONG = 2000
_PROTECTION = {
    Protection.USUAL: "",
    Protection.TLS: "by TLS",
    Protection.PLAIN: "by plain HTTP, as it was named for it",
    Protection.ANY: "set up as insecure: its certificate is not checked",
}
_ODDITIES = {
    "no-registry": (
        "there is no registry API",
        "It is a web server, or the registry lies at another port or name. Is the name right?",
    ),
    "web-page": (
        "a web page answers, and no registry",
        "A login page of the network (captive portal) or of a proxy stands between, or the name is that of a web site.",
    ),
    "speaks-tls": (
        "it speaks TLS, and was spoken to without",
        "Leave out --plain-http; of a registry on this machine give the authority: --ca FILE, or ca.crt in certs.d.",
    ),
    "wants-certificate": ("the server wants a client certificate", ""),
    "busy": ("it asks for patience: too many requests", "Try again later, or log in: accounts may do more."),
    "refuses": ("it refuses, and names no way to log in", "A firewall or a list of addresses may stand between."),
    "fails": ("the server fails", "Try again later, or tell its owner."),
    "odd": ("no answer that a registry gives", "Is the name right?"),
}  # fmt: skip


def ping_all(text: str, access: Access, *, as_json: bool) -> int:
    """Ask the registry `text`, or those that the repository or image `text` may be at; 0 if they can be used, else 1.

    What may be either, as in `redis:7`, is a registry with its port.
    """
    deep = not _is_registry(text)
    references = short_names().to_ask(text) if deep else [_somewhere(text)]
    usable, mirrored = True, False

    async def ask() -> None:
        nonlocal usable, mirrored
        async with open_client(access, jobs=1, report=Quiet().show) as client:
            for reference in references:
                async for finding in client.ping(reference, deep=deep):
                    usable = usable and finding.verdict is not Verdict.FAIL
                    mirrored = mirrored or (isinstance(finding, Mirrored) and finding.verdict is Verdict.OK)
                    click.echo(json.dumps(encoded(finding)) if as_json else told(finding))

    interrupt.run(ask)
    click.echo(
        json.dumps({"finding": "verdict", "usable": usable})
        if as_json
        else _summary(text, usable=usable, mirrored=mirrored)
    )
    return 0 if usable else 1


def _is_registry(text: str) -> bool:
    """Whether it is what references have before the first slash, and no bare word (distribution/reference)."""
    return is_registry(text) and (text == "localhost" or not {".", ":"}.isdisjoint(text))


def _somewhere(registry: str) -> Reference:
    """A reference of the registry, for what is set up by repositories."""
    known = DOCKER_HUB if registry in ("docker.io", "index.docker.io") else registry
    return Reference.parse(f"{known}/{'library/' if known == DOCKER_HUB else ''}ping")


def _summary(text: str, *, usable: bool, mirrored: bool) -> str:
    if usable:
        return printable(f"{text} can be used", limit=_LONG)
    mirrors = "; a mirror of it answers, and pulls of what that has do without it" if mirrored else ""
    return printable(f"{text} cannot be used as it is set up{mirrors}", limit=_LONG)


def told(finding: Finding) -> str:
    """The lines of one finding; nothing in them can act on a terminal (THREATS C22)."""
    topic, what, remedy = line_of(finding)
    lines = [f"{_MARKS[finding.verdict]:<5} {topic:<12} {what}", *([f"{'':<18} {remedy}"] if remedy else [])]
    return "\n".join(printable(line, limit=_LONG).rstrip() for line in lines)


def encoded(finding: Finding) -> dict[str, Any]:
    """One finding as plain data: its facts, and the words for people."""
    topic, what, remedy = line_of(finding)
    head = {"finding": type(finding).__name__.lower(), "verdict": finding.verdict.value, "topic": topic}
    facts = {field.name: _plain(getattr(finding, field.name)) for field in fields(finding) if field.name != "verdict"}
    words = {"text": printable(what, limit=_LONG)} | ({"remedy": printable(remedy, limit=_LONG)} if remedy else {})
    return head | facts | words


def _plain(value: Any) -> Any:
    if isinstance(value, PullerError):
        return value.facts()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def line_of(finding: Finding) -> Line:
    """What a finding is about, what is so, and what to do."""
    match finding:
        case SetUp():
            return "set-up", "; ".join(_set_up(finding)), ""
        case Named():
            return _named(finding)
        case Reached():
            return _reached(finding)
        case Secured():
            return "tls", _secured(finding), _renewal(finding)
        case Unsecured():
            return ("tls", *unsecured(finding))
        case Greeted():
            return _greeted(finding)
        case Tokens():
            return _tokens(finding)
        case Clock():
            return _clock(finding)
        case Admitted():
            return _admitted(finding)
        case Trouble():
            return finding.step, _error(finding.error), finding.error.hint
        case _:
            return _offered(finding)


def _offered(finding: Finding) -> Line:
    """Of a mirror, and of what a registry can do."""
    match finding:
        case Mirrored():
            answer = finding.problem if finding.status is None else f"answers with HTTP {finding.status}"
            return "mirror", f"{finding.host}: {answer}", ""
        case Listed():
            sample = f": {', '.join(finding.sample)}{', …' if finding.count > len(finding.sample) else ''}"
            count = f"more than {finding.count} tags" if finding.more else counted(finding.count, "tag")
            return "tags", f"{count}{sample if finding.sample else ''}", ""
        case Resolved():
            by = finding.digest or "without a digest, so it costs a whole manifest to see whether it has changed"
            return "manifest", f"HEAD of {finding.name} tells {by}", ""
        case Ranged() if finding.honoured:
            return "ranges", f"{finding.host} serves parts of blobs: cut downloads go on", ""
        case Ranged():
            return (
                "ranges",
                f"{finding.host} serves blobs only whole (HTTP {finding.status}): cut downloads begin anew",
                "",
            )
        case Referred() if finding.api:
            return "referrers", f"by API (OCI 1.1), {counted(finding.count, 'referrer')} of this image", ""
        case Referred():
            has = "there is one" if finding.count else "there is none"
            return "referrers", f"no API: they are looked for by a tag (sha256-…), and {has}", ""
        case Quota():
            return "quota", _quota(finding), ""
        case Untried():
            return "not tried", f"{', '.join(finding.what)}: they would change something there", ""
    return type(finding).__name__.lower(), "", ""


def _set_up(finding: SetUp) -> Iterable[str]:
    yield f"{finding.registry} is asked at {finding.origin}"
    if _PROTECTION[finding.protection]:
        yield _PROTECTION[finding.protection]
    yield f"through the proxy {finding.proxy}" if finding.proxy else "without a proxy"
    if finding.authorities:
        yield f"trusting {', '.join(finding.authorities)}, too"
    if finding.certificates:
        yield f"showing the client certificate {', '.join(finding.certificates)}"
    if finding.mirrors:
        yield f"mirrors: {', '.join(finding.mirrors)}"
    yield f"account: {finding.account}" if finding.account else "no account is known for it"


def _named(finding: Named) -> Line:
    if finding.problem:
        remedy = "Is the name right, and can this machine resolve names? A proxy has to be named: --proxy URL, or env."
        return "name", f"{finding.host} does not resolve: {finding.problem}", remedy
    families = [(finding.v4, "IPv4"), (finding.v6, "IPv6")]
    known = [f"{', '.join(addresses)} ({family})" for addresses, family in families if addresses]
    return "name", f"{finding.host} is {' and '.join(known)}", ""


def _reached(finding: Reached) -> Line:
    tried = ", ".join(_attempt(attempt) for attempt in finding.attempts)
    where = f"the proxy {finding.proxy}" if finding.proxy else f"port {finding.port}"
    remedy = ""
    if finding.verdict is Verdict.FAIL:
        whose = "the proxy" if finding.proxy else "the registry"
        remedy = f"Is the port right, {whose} up, and no firewall between? A proxy has to be named: --proxy URL."
    elif finding.verdict is Verdict.WARN:
        bad = {attempt.is_v6 for attempt in finding.attempts if attempt.problem and not attempt.is_pathless}
        family = "IPv6 does" if bad == {True} else "IPv4 does" if bad == {False} else "Some addresses do"
        remedy = f"{family} not work here: each new connection loses time before another address is tried."
    return "connection", f"{where}: {tried}", remedy


def _attempt(attempt: Attempt) -> str:
    address = f"[{attempt.address}]" if attempt.is_v6 else attempt.address
    if attempt.is_pathless:
        return f"{address} has no way from here"
    return f"{address} {attempt.problem}" if attempt.problem else f"{address} in {time_text(attempt.seconds)}"


def _secured(finding: Secured) -> str:
    shown = finding.certificate
    if shown is None:
        return finding.version
    left = f"good until {shown.until}, {counted(shown.days, 'day')} left"
    checked = "" if finding.proven else "; nobody has checked it, as the registry is set up as insecure"
    return f"{finding.version}, certificate of {shown.subject} issued by {shown.issuer}, {left}{checked}"


def _renewal(finding: Secured) -> str:
    is_soon = finding.proven and finding.verdict is Verdict.WARN
    return "Its owner should renew the certificate." if is_soon else ""


def _greeted(finding: Greeted) -> Line:
    if finding.problem:
        what, remedy = _ODDITIES[finding.problem]
        remedy = remedy or certificate_remedy(finding.server)
        status = f" (HTTP {finding.status})" if finding.status else ""
        return "registry", f"{finding.server}: {what}{status}", remedy
    parts = [f"HTTP {finding.status}"]
    parts += [f"wants {' or '.join(finding.schemes)}"] if finding.schemes else ["asks for no credentials"]
    parts += [finding.api_version] if finding.api_version else []
    parts += [f"{finding.http}, connections {'are kept' if finding.keeps else 'are closed after each request'}"]
    return "registry", "; ".join(parts), ""


def _tokens(finding: Tokens) -> Line:
    if finding.problem:
        return "tokens", f"{finding.problem} ({finding.host})" if finding.host else finding.problem, ""
    if finding.trusted:
        return "tokens", f"come from {finding.host}, which may see the credentials", ""
    host = finding.host.rpartition(":")[0] if finding.host.rpartition(":")[2].isdigit() else finding.host
    remedy = f"If it belongs to the registry: --token-host {host}" if finding.has_account else ""
    return "tokens", f"come from {finding.host}, which may be of another owner: credentials are not sent there", remedy


def _clock(finding: Clock) -> Line:
    if abs(finding.ahead) <= 1:  # servers tell whole seconds
        return "clock", "agrees with the server's", ""
    which = "ahead of" if finding.ahead > 0 else "behind"
    remedy = "Set this machine's clock: tokens and certificates are judged by it."
    return (
        "clock",
        f"{abs(finding.ahead):.0f} s {which} the server's",
        remedy if finding.verdict is Verdict.WARN else "",
    )


def _admitted(finding: Admitted) -> Line:
    whose = f"the account ({finding.account})" if finding.account else ""
    if finding.verdict is Verdict.FAIL and finding.account and finding.checked:
        remedy = "Its password or token is wrong, or has ended. Log in anew: puller login"
        return "account", f"{whose} is refused: {finding.what}", remedy
    if finding.verdict is Verdict.FAIL:
        what = f"{whose} cannot be used" if finding.account else "strangers are not let in"
        return "account", f"{what}: {finding.what}", finding.hint or "Log in first: puller login"
    if not finding.account and finding.challenged:
        return "account", "strangers are let in; what they may pull is up to each repository", ""
    if not finding.account:
        return "account", "everybody is let in", ""
    if finding.checked:
        return "account", f"{whose} is let in", ""
    return "account", f"everybody is let in; nobody wanted to see the secret of {whose}", ""


def _quota(finding: Quota) -> str:
    limit = "" if finding.limit is None else f" of {finding.limit}"
    window = "" if finding.window is None else f" per {_hours(finding.window)}"
    return f"{finding.left}{limit} pulls{window} are left"


def _hours(seconds: int) -> str:
    if seconds % 3600 == 0:
        return counted(seconds // 3600, "hour")
    return counted(seconds // 60, "minute") if seconds % 60 == 0 else counted(seconds, "second")


def _error(error: PullerError) -> str:
    got = "" if error.got is None else f": {error.got}"
    return f"{error.what}{got}"
