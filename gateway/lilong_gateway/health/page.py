"""What is served: /healthz for machines, /metrics for Prometheus, / for a technician."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from html import escape
from http import HTTPStatus

from lilong_gateway.health.heart import Heart
from lilong_gateway.health.metrics import CONTENT_TYPE, Metrics
from lilong_gateway.health.snapshot import Snapshot
from lilong_gateway.health.verdict import DEAD, Verdict, judge
from lilong_gateway.health.web import Answer

_HTML = "text/html; charset=utf-8"
_STYLE = """body{font-family:sans-serif;margin:1.5em;max-width:60em}table{border-collapse:collapse}
td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left}h1 span{padding:.1em .5em}
.healthy{background:#9d9}.degraded{background:#fd6}.dead{background:#f88}"""

Row = tuple[object, ...]


class Pages:
    """Answers by path, from the latest snapshot; any thread may ask."""

    def __init__(self, heart: Heart, now_ms: Callable[[], int], metrics: Metrics) -> None:
        self._heart = heart
        self._now_ms = now_ms
        self._metrics = metrics

    def answer(self, path: str) -> Answer:
        """Return what is at a path."""
        snapshot, now_ms = self._heart.latest, self._now_ms()
        verdict = judge(snapshot, now_ms, self._heart.limits)
        if path == "/healthz":
            return _health(snapshot, verdict, now_ms)
        if path == "/metrics":
            text = self._metrics.text(snapshot, verdict, now_ms)
            return Answer(HTTPStatus.OK, text, CONTENT_TYPE)
        if path == "/":
            return Answer(HTTPStatus.OK, _page(snapshot, verdict, now_ms).encode(), _HTML)
        return Answer(HTTPStatus.NOT_FOUND, b"There are /, /healthz and /metrics.\n")


def _health(snapshot: Snapshot, verdict: Verdict, now_ms: int) -> Answer:
    dead = verdict.state == DEAD
    body = {
        "state": verdict.state,
        "gateway": snapshot.gateway,
        "age_s": (now_ms - snapshot.taken_ms) / 1000,
        "reasons": [asdict(reason) for reason in verdict.reasons],
    }
    status = HTTPStatus.SERVICE_UNAVAILABLE if dead else HTTPStatus.OK
    return Answer(status, json.dumps(body, indent=1).encode() + b"\n", "application/json")


def _page(snapshot: Snapshot, verdict: Verdict, now_ms: int) -> str:
    reasons = [(reason.state, reason.what, reason.remedy) for reason in verdict.reasons]
    name = escape(f"{snapshot.site}/{snapshot.gateway}")
    spans = _ago(snapshot.started_ms, now_ms), _ago(snapshot.taken_ms, now_ms)
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{name}</title>",
        f"<meta http-equiv=refresh content=10><style>{_STYLE}</style>",
        f"<h1>{name} <span class={verdict.state}>{verdict.state}</span></h1>",
        *_table("What is wrong, and what to do", ("state", "what", "do"), reasons),
        *_table("Sources", ("name", "state", "batches", "data"), _sources(snapshot, now_ms)),
        *_table("Sinks", ("name", "at", "state", "waiting", "confirmed"), _sinks(snapshot)),
        *_table("Store", ("what", ""), _store(snapshot, now_ms)),
        *_table("Nodes", ("what", ""), snapshot.nodes.items()),
        "<p>Running for {}, seen {} ago.".format(*spans),
        "<a href=/healthz>healthz</a> <a href=/metrics>metrics</a></html>\n",
    ]
    return "\n".join(parts)


def _table(title: str, heads: Row, rows: Iterable[Row]) -> Iterator[str]:
    yield f"<h2>{title}</h2><table>"
    yield "<tr>" + "".join(f"<th>{escape(str(head))}" for head in heads)
    for row in rows:
        yield "<tr>" + "".join(f"<td>{escape(str(cell))}" for cell in row)
    yield "</table>"


def _sources(snapshot: Snapshot, now_ms: int) -> Iterator[Row]:
    for source in snapshot.sources:
        ago = "none yet" if source.moved_ms is None else f"{_ago(source.moved_ms, now_ms)} ago"
        yield source.name, source.state, source.batches, ago


def _sinks(snapshot: Snapshot) -> Iterator[Row]:
    for sink in snapshot.sinks:
        waiting = "not known" if sink.waiting is None else sink.waiting
        state = sink.trouble or "connecting"
        if sink.connected is not None:
            state = f"connected, MQTT {sink.connected}"
        yield sink.name, sink.where, state, waiting, sink.confirmed


def _store(snapshot: Snapshot, now_ms: int) -> Iterator[Row]:
    ingest, store = snapshot.ingest, snapshot.store
    committed = "none yet" if ingest.moved_ms is None else f"{_ago(ingest.moved_ms, now_ms)} ago"
    yield "last commit", committed
    yield "queued", ingest.queued
    yield from store.figures.items()
    yield from store.counted.items()
    if ingest.trouble or store.trouble:
        yield "trouble", ingest.trouble or store.trouble


def _ago(then_ms: int, now_ms: int) -> str:
    seconds = max(0, now_ms - then_ms) // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds % 60} s"
