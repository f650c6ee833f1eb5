"""Challenges of WWW-Authenticate: a table, the refusals, and a fuzz against the grammar written down a second time."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import ProtocolViolation
from puller.registry.identity.challenge import Challenge, parse_challenges

HUB = 'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"'

GOOD = {
    "none": ([], []),
    "empty line": (["", " \t", ",, ,"], []),
    "docker hub": (
        [HUB],
        [
            Challenge(
                "bearer",
                {
                    "realm": "https://auth.docker.io/token",
                    "service": "registry.docker.io",
                    "scope": "repository:a/b:pull,push",
                },
            )
        ],
    ),
    "names without case": (['BEARER ReAlM="X"'], [Challenge("bearer", {"realm": "X"})]),
    "token value": (["Basic realm=plain"], [Challenge("basic", {"realm": "plain"})]),
    "escaped quotes": ([r'Basic realm="say \"hi\", \\ \a"'], [Challenge("basic", {"realm": 'say "hi", \\ a'})]),
    "empty value": (['Basic realm=""'], [Challenge("basic", {"realm": ""})]),
    "quoted comma that looks like a scheme": (
        ['Basic realm="x, Bearer realm=evil"'],
        [Challenge("basic", {"realm": "x, Bearer realm=evil"})],
    ),
    "two schemes in one line": (
        ['Digest qop="auth,auth-int", nonce=n, Bearer realm="r", service=s,Basic realm="b"'],
        [
            Challenge("digest", {"qop": "auth,auth-int", "nonce": "n"}),
            Challenge("bearer", {"realm": "r", "service": "s"}),
            Challenge("basic", {"realm": "b"}),
        ],
    ),
    "two lines": (["Negotiate", 'Bearer realm="r"'], [Challenge("negotiate"), Challenge("bearer", {"realm": "r"})]),
    "token68": (["Negotiate YII+/abc==, NTLM"], [Challenge("negotiate", token68="YII+/abc=="), Challenge("ntlm")]),
    "one word with an equals sign is a token68": (["Basic realm="], [Challenge("basic", token68="realm=")]),
    "space around everything": (
        [' , Bearer  realm = "r" , service\t=\ts ,, '],
        [Challenge("bearer", {"realm": "r", "service": "s"})],
    ),
    "parameters after an empty element": (["Foo , a=b"], [Challenge("foo", {"a": "b"})]),
    "text beyond ASCII": (['Basic realm="Gießen"'], [Challenge("basic", {"realm": "Gießen"})]),
}

BAD = {
    "no scheme": ['realm="x"'],
    "no scheme before the equals sign": ["= x"],
    "unterminated quote": ['Basic realm="x'],
    "quote ends in a backslash": ['Basic realm="x\\"'],
    "word behind a value": ['Basic realm="x" y'],
    "word behind a token68": ["Negotiate abc== def"],
    "parameter behind a token68": ["Negotiate abc==, a=b"],
    "parameter of a scheme without space": ["Foo,a=b"],
    "missing value": ["Basic realm=, b=c"],
    "two words": ["Basic some realm"],
    "line feed": ['Basic realm="x\ny"'],
    "null": ['Basic realm="x\0"'],
    "null as scheme": ["\0"],
    "delete": ['Basic realm="\x7f"'],
    "semicolon": ["Basic realm=x; charset=y"],
    "bytes that are no UTF-8": ['Bearer realm="https://a.test/",service="\udcff"'],
    "a surrogate outside of quotes": ["Basic realm=x, \udcff"],
    "a control character beyond ASCII": ['Basic realm="\x85"'],
    "a quote across two lines": ['Basic realm="x', 'y"'],
}


@pytest.mark.parametrize(("lines", "wanted"), GOOD.values(), ids=GOOD.keys())
def test_challenges_are_read_by_the_grammar_of_rfc_9110(lines: list[str], wanted: list[Challenge]) -> None:
    assert parse_challenges(lines) == wanted


@pytest.mark.parametrize("lines", BAD.values(), ids=BAD.keys())
def test_b14_a_malformed_challenge_is_refused(lines: list[str]) -> None:
    with pytest.raises(ProtocolViolation, match="WWW-Authenticate"):
        parse_challenges(lines)


@pytest.mark.parametrize(
    "line",
    [
        'Bearer realm="https://good/", realm="https://evil/"',
        'Bearer realm="same", realm="same"',
        "Bearer scope=a, service=b, SCOPE=c",
    ],
)
def test_b14_a_parameter_given_twice_is_refused(line: str) -> None:
    with pytest.raises(ProtocolViolation, match="duplicate"):
        parse_challenges([line])


def test_b14_the_same_parameter_in_two_challenges_is_no_duplicate() -> None:
    assert len(parse_challenges(["Bearer realm=a, Basic realm=a"])) == 2


@pytest.mark.parametrize(
    "lines",
    [
        ['Basic realm="' + "x" * (1 << 20) + '"'],
        ["Basic realm=x"] * 17,
        [", ".join(["Basic"] * 17)],
        [""] * 17,
        ["Basic " + ",".join(f"p{number}=v" for number in range(33))],
    ],
    ids=["a megabyte", "many lines", "many in one line", "many empty lines", "many parameters"],
)
def test_b14_challenges_are_bounded(lines: list[str]) -> None:
    with pytest.raises(ProtocolViolation, match=r"too (long|many)"):
        parse_challenges(lines)


def test_b14_as_many_challenges_as_the_bound_are_read() -> None:
    assert len(parse_challenges([", ".join(["Basic"] * 16)])) == 16


def test_an_error_tells_the_place_and_not_the_text() -> None:
    with pytest.raises(ProtocolViolation) as caught:
        parse_challenges(['Basic realm="private" oops'])
    assert "character 22" in str(caught.value)
    assert "private" not in str(caught.value)


# The grammar of RFC 9110 once more, as one regular expression without any of the parser's choices.
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[\t !#-\[\]-~\xa0-\U0010ffff]|\\[\t !-~\xa0-\U0010ffff])*"'
_PARAMETER = rf"{_TOKEN}[ \t]*=[ \t]*(?:{_TOKEN}|{_QUOTED})"
_PARAMETERS = rf"(?:{_PARAMETER})?(?:[ \t]*,[ \t]*(?:{_PARAMETER})?)*"
_CHALLENGE = rf"{_TOKEN}(?:[ \t]+(?:[A-Za-z0-9\-._~+/]+=*|{_PARAMETERS}))?"
REFERENCE = re.compile(rf"[ \t]*(?:{_CHALLENGE})?(?:[ \t]*,[ \t]*(?:{_CHALLENGE})?)*[ \t]*")

_PIECES = st.sampled_from([",", " ", "\t", "=", '"', "\\", "a", "B", "cd", "==", "+", "/", "é", "\n", '"a"', '"\\""'])


@given(st.lists(_PIECES, max_size=14).map("".join))
def test_b14_exactly_the_lines_of_the_grammar_are_read(line: str) -> None:
    try:
        parse_challenges([line])
        accepted = True
    except ProtocolViolation as error:
        accepted = "duplicate" in error.what
    assert accepted == (REFERENCE.fullmatch(line) is not None)


_WORDS = st.from_regex(re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,6}"), fullmatch=True)
_VALUES = st.text(st.characters(exclude_categories=["Cc", "Cs"], max_codepoint=0x24F) | st.just("\t"), max_size=8)
_OPAQUE = st.from_regex(re.compile(r"[A-Za-z0-9\-._~+/]{1,6}={0,2}"), fullmatch=True)
_SPACES = st.sampled_from(["", " ", "  ", "\t"])
_CHALLENGES = st.builds(
    lambda scheme, parameters, opaque: Challenge(scheme, {} if opaque else parameters, opaque),
    _WORDS.map(str.lower),
    st.dictionaries(_WORDS.map(str.lower), _VALUES, max_size=4),
    st.none() | _OPAQUE,
)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@given(st.lists(_CHALLENGES, max_size=5), st.data())
def test_b14_what_the_grammar_writes_is_read_back(challenges: list[Challenge], data: st.DataObject) -> None:
    elements = []
    for challenge in challenges:
        parameters = []
        for name, value in challenge.parameters.items():
            before, after = data.draw(_SPACES), data.draw(_SPACES)
            parameters.append(f"{name}{before}={after}{_quoted(value)}")
        comma = data.draw(_SPACES) + "," + data.draw(_SPACES)
        elements.append(f"{challenge.scheme} {challenge.token68 or comma.join(parameters)}".strip(" "))
    comma = data.draw(_SPACES) + "," + data.draw(_SPACES)
    assert parse_challenges([comma.join(elements)]) == challenges
