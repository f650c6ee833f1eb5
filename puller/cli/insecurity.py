"""Insecurity: why there is no TLS that can be trusted, and what to do, in words."""

from puller.registry.pinging.finding import Certificate, Unsecured


def unsecured(finding: Unsecured) -> tuple[str, str]:
    """What is the matter, and what to do about it."""
    shown, words = finding.certificate, f" ({finding.words})" if finding.words else ""
    match finding.problem:
        case "plain-http":
            return f"{finding.host} speaks plain HTTP", f"Name it for that: --plain-http {finding.registry}"
        case "unknown-authority":
            return f"the certificate is of an authority that is not known here{_issuer(shown)}", _authority(finding)
        case "expired":
            until = f" on {shown.until}, {-shown.days} days ago" if shown is not None else ""
            return f"the certificate has expired{until}", "Its owner has to renew it. Is this machine's clock right?"
        case "not-yet-valid":
            return "the certificate is not valid yet", "Is this machine's clock right?"
        case "other-name":
            names = f", but for {', '.join(shown.names)}" if shown is not None and shown.names else ""
            return (
                f"the certificate is not for {finding.host}{names}",
                "Is the name right, or its owner has to mend it.",
            )
        case "client-certificate" if finding.shown:
            return (
                f"the client certificate is refused{words}",
                "Is it current, and of an authority that the server knows?",
            )
        case "client-certificate":
            return f"the server wants a client certificate{words}", certificate_remedy(finding.registry)
        case "old":
            return f"the server speaks no TLS 1.2 or newer{words}", "Its owner has to bring it up to date."
        case "silent":
            return f"no answer to the TLS handshake{words}", "Does the port speak TLS at all?"
        case "cut":
            what = f"the TLS handshake was cut{words}"
            return (
                what,
                "A firewall may stand between, the port speaks no TLS, or the server wants a client certificate.",
            )
    return f"the TLS handshake failed{words}", ""


def certificate_remedy(registry: str) -> str:
    """Where a client certificate is to be put."""
    where = f"/etc/docker/certs.d/{registry} (or containers/certs.d, ~/.config/containers/certs.d)"
    return f"Put it as client.cert and client.key into {where}."


def _issuer(shown: Certificate | None) -> str:
    if shown is None:
        return ""
    return f": issued by itself ({shown.subject})" if shown.is_own_issuer else f": {shown.issuer}"


def _authority(finding: Unsecured) -> str:
    where = f"/etc/docker/certs.d/{finding.registry} (or containers/certs.d, ~/.config/containers/certs.d)"
    read = f" So far there are: {', '.join(finding.authorities)}." if finding.authorities else ""
    return f"Give the authority's PEM file: --ca FILE, or as ca.crt in {where}.{read}"
