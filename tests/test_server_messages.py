"""Lines that a server is sent and sends: what is a request, what is not, and what is said about it."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_host import Host

from flow_inpaint import server


@pytest.mark.parametrize(
    ("line", "code", "ident"),
    [
        (b"nonsense", server.PARSE_ERROR, None),
        (b"{", server.PARSE_ERROR, None),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "describe"', server.PARSE_ERROR, None),
        (b"\xff\xfe", server.PARSE_ERROR, None),
        (b"NaN", server.PARSE_ERROR, None),
        (b'{"id": Infinity}', server.PARSE_ERROR, None),
        (b"[" * 200_000, server.PARSE_ERROR, None),
        (b'{"id": ' + b"9" * 5000 + b"}", server.PARSE_ERROR, None),
        (b"3", server.INVALID_REQUEST, None),
        (b"null", server.INVALID_REQUEST, None),
        (b'"describe"', server.INVALID_REQUEST, None),
        (b"[]", server.INVALID_REQUEST, None),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "describe"}]', server.INVALID_REQUEST, None),
        (b"{}", server.INVALID_REQUEST, None),
        (b'{"id": 4, "method": "describe"}', server.INVALID_REQUEST, 4),
        (b'{"jsonrpc": 2.0, "id": 4, "method": "describe"}', server.INVALID_REQUEST, 4),
        (b'{"jsonrpc": "2.0", "id": 4}', server.INVALID_REQUEST, 4),
        (b'{"jsonrpc": "2.0", "id": 4, "method": 7}', server.INVALID_REQUEST, 4),
        (b'{"jsonrpc": "2.0", "id": 4, "result": {}}', server.INVALID_REQUEST, 4),
        (b'{"jsonrpc": "2.0", "id": 4, "method": "describe", "params": 3}', server.INVALID_REQUEST, 4),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "describe"}', server.INVALID_REQUEST, None),
        (b'{"jsonrpc": "2.0", "id": [1], "method": "describe"}', server.INVALID_REQUEST, None),
        (b'{"jsonrpc": "2.0", "id": true, "method": "describe"}', server.INVALID_REQUEST, None),
        (b'{"jsonrpc": "2.0", "id": 1e999, "method": "describe"}', server.INVALID_REQUEST, None),
        (b'{"jsonrpc": "2.0", "id": 4, "method": "paint"}', server.UNKNOWN_METHOD, 4),
        (b'{"jsonrpc": "2.0", "id": 4, "method": "__init__"}', server.UNKNOWN_METHOD, 4),
        (b'{"jsonrpc": "2.0", "id": 4, "method": "render", "params": ["a.mkv"]}', server.INVALID_PARAMS, 4),
    ],
    ids=lambda value: value[:50].decode("latin-1") if isinstance(value, bytes) else None,
)
def test_bad_messages(bad_host, line, code, ident):
    bad_host.raw(line + b"\n")
    answer = bad_host.next()
    assert answer["id"] == ident and answer["error"]["code"] == code and answer["error"]["message"].endswith(".")
    assert set(answer) == {"jsonrpc", "id", "error"}
    assert bad_host.ask("describe")["result"]


@pytest.fixture(scope="module")
def bad_host(tmp_path_factory):
    made = Host(tmp_path_factory.mktemp("bad"))
    yield made
    assert made.end() == 0
    assert b"Traceback" not in made.process.stderr.read()


@pytest.mark.parametrize("ident", [0, -1, 1.5, "", "x", "\u00fc\n", None, 10**40])
def test_ids_come_back_as_they_are(bad_host, ident):
    bad_host.raw(json.dumps({"jsonrpc": "2.0", "id": ident, "method": "abort"}).encode() + b"\n")
    assert bad_host.next() == {"jsonrpc": "2.0", "id": ident, "result": {"aborted": False}}


def test_notifications_get_no_answer(bad_host):
    for line in (b'{"jsonrpc": "2.0", "method": "paint"}', b'{"jsonrpc": "2.0", "method": "render"}', b"", b"   ", b"\r"):
        bad_host.raw(line + b"\n")
    assert bad_host.ask("describe")["result"]


def test_overlong_lines_are_refused_and_passed_over(bad_host):
    bad_host.raw(b'{"x": "' + b"y" * (server.LONGEST_LINE + 5_000_000) + b'"}\n')
    assert bad_host.next()["error"]["code"] == server.INVALID_REQUEST
    assert bad_host.ask("describe")["result"]


def test_lines_of_a_stream(monkeypatch):
    monkeypatch.setattr(server, "LONGEST_LINE", 4)
    assert list(server.lines(BytesIO(b"ab\n\nabcd\nabcde\nabcdefghij\nxy"))) == [b"ab\n", b"abcd\n", None, None, b"xy"]
    assert list(server.lines(BytesIO(b"abcdefgh"))) == [None]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
REQUESTS = st.fixed_dictionaries({}, optional={"jsonrpc": st.just("2.0") | JSON, "id": JSON, "method": JSON, "params": JSON})


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40) | (JSON | REQUESTS).map(lambda value: json.dumps(value).encode()))
def test_any_line_is_a_request_or_an_error(line):
    try:
        request = server.parse(line)
    except server.RequestError as error:
        answer = json.loads(server.encoded({"id": error.ident}))
        assert answer["id"] is None or isinstance(answer["id"], (str, int, float))
    else:
        assert isinstance(request.method, str)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_anything_can_be_sent(value):
    line = server.encoded({"result": value})
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    json.loads(line, parse_constant=pytest.fail)
