import asyncio
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

import pytest

from lilong_gateway.health.web import Answer, Web


def answer(path: str) -> Answer:
    if path == "/broken":
        raise ZeroDivisionError
    if path == "/large":
        return Answer(HTTPStatus.OK, bytes(4 << 20))
    status = HTTPStatus.OK if path == "/" else HTTPStatus.NOT_FOUND
    return Answer(status, path.encode())


@pytest.fixture
def web(free_port: int) -> Iterator[Web]:
    page = Web("127.0.0.1", free_port, answer, again_s=0.05)
    page.start()
    wait_for(free_port)
    yield page
    asyncio.run(page.stop())


def wait_for(port: int) -> None:
    until_s = time.monotonic() + 10
    while time.monotonic() < until_s:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError


def ask(port: int, method: str, path: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def raw(port: int, *pieces: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 20) as line:
        line.settimeout(20)
        for piece in pieces:
            line.sendall(piece)
        found = b""
        while data := line.recv(65_536):
            found += data
        return found


@pytest.mark.usefixtures("web")
def test_get_and_head_are_answered_and_a_query_is_ignored(free_port: int) -> None:
    response, body = ask(free_port, "GET", "/?a=b")
    assert (response.status, body) == (200, b"/")
    assert response.headers["Cache-Control"] == "no-store"
    response, body = ask(free_port, "HEAD", "/")
    assert (response.status, body, response.headers["Content-Length"]) == (200, b"", "1")
    assert ask(free_port, "GET", "/other")[0].status == 404


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"])
def test_no_other_method_is_allowed(free_port: int, method: str) -> None:
    response, _ = ask(free_port, method, "/")
    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.usefixtures("web")
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET / FTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * 20_000, 431),
    ],
)
def test_what_is_no_request_is_refused(free_port: int, request_: bytes, status: int) -> None:
    assert raw(free_port, request_).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.usefixtures("web")
def test_a_mistake_on_a_page_is_500_and_the_next_one_is_served(free_port: int) -> None:
    assert ask(free_port, "GET", "/broken")[0].status == 500
    assert ask(free_port, "GET", "/")[0].status == 200


@pytest.mark.usefixtures("web")
def test_a_long_answer_arrives_whole(free_port: int) -> None:
    assert len(ask(free_port, "GET", "/large")[1]) == 4 << 20


@pytest.mark.usefixtures("web")
def test_clients_that_say_nothing_or_read_nothing_are_let_go_and_keep_nobody_out(
    free_port: int,
) -> None:
    mute = [socket.create_connection(("127.0.0.1", free_port)) for _ in range(6)]
    deaf = [socket.create_connection(("127.0.0.1", free_port)) for _ in range(6)]
    for line in deaf:
        line.sendall(b"GET /large HTTP/1.1\r\n\r\n")
    assert ask(free_port, "GET", "/")[0].status == 200
    for line in mute:
        line.settimeout(20)
        assert line.recv(1) == b""
    for line in mute + deaf:
        line.close()


@pytest.mark.usefixtures("web")
def test_a_crowd_is_turned_away_until_there_is_room(free_port: int) -> None:
    crowd = [socket.create_connection(("127.0.0.1", free_port)) for _ in range(16)]
    assert not is_served(free_port)
    for line in crowd:
        line.close()
    until_s = time.monotonic() + 10
    while not is_served(free_port):
        assert time.monotonic() < until_s


def is_served(port: int) -> bool:
    try:
        return raw(port, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 200 ")
    except ConnectionError:
        return False


async def test_a_port_in_use_is_one_warning_and_is_tried_again(
    free_port: int, caplog: pytest.LogCaptureFixture, eventually: Callable[..., Any]
) -> None:
    holder = socket.create_server(("127.0.0.1", free_port))
    page = Web("127.0.0.1", free_port, answer, again_s=0.05)
    page.start()
    await eventually(lambda: "page not served" in caplog.text)
    await asyncio.sleep(0.3)
    assert caplog.text.count("page not served") == 1
    assert "address already in use" in caplog.text
    holder.close()
    await asyncio.to_thread(wait_for, free_port)
    response, _ = await asyncio.to_thread(ask, free_port, "GET", "/")
    assert response.status == 200
    await page.stop()


async def test_it_answers_while_the_event_loop_hangs(free_port: int) -> None:
    page = Web("127.0.0.1", free_port, answer)
    page.start()
    wait_for(free_port)
    assert ask(free_port, "GET", "/")[0].status == 200
    await page.stop()
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", free_port), 1)


def test_stopping_what_never_began_is_nothing() -> None:
    asyncio.run(Web("127.0.0.1", 1, answer).stop())
