"""Load from outside: `wrk` where it is installed, else a small client of our own (which costs more, and says so)."""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LUA = """
wrk.method = "POST"
wrk.body = [[{body}]]
wrk.headers["Content-Type"] = "application/json"
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function init(args) accepted = 0; rejected = 0; failed = 0 end
function response(status, headers, body)
  if status == 201 then accepted = accepted + 1
  elseif status == 409 then rejected = rejected + 1
  else failed = failed + 1 end
end
function done(summary, latency, requests)
  local a, r, f = 0, 0, 0
  for _, t in ipairs(threads) do a = a + t:get("accepted"); r = r + t:get("rejected"); f = f + t:get("failed") end
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d %d\\n", a, r, f + e.connect + e.read + e.write + e.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99)))
end
"""
RESULT = re.compile(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One round's answers. Rates are per second of the round, latencies in milliseconds."""

    accepted: int
    rejected: int
    failed: int
    seconds: float
    p50_ms: float
    p99_ms: float
    generator: str

    @property
    def accepted_per_s(self) -> float:
        """201s a second."""
        return self.accepted / self.seconds

    @property
    def rejected_per_s(self) -> float:
        """409s a second."""
        return self.rejected / self.seconds


def post(url: str, body: dict[str, object], *, seconds: int, clients: int) -> Load:
    """POST the same body for `seconds` from `clients` connections. Each request is an order of its own: no key."""
    if shutil.which("wrk"):
        return _wrk(url, body, seconds, clients)
    return asyncio.run(_own(url, body, seconds, clients))


def _wrk(url: str, body: dict[str, object], seconds: int, clients: int) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(LUA.format(body=json.dumps(body)), encoding="utf-8")
        command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script), url]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)  # noqa: S603
    found = RESULT.search(done.stdout)
    if found is None:
        raise RuntimeError(f"wrk said nothing that can be read:\n{done.stdout}\n{done.stderr}")
    accepted, rejected, failed, took_us, p50_us, p99_us = map(int, found.groups())
    return Load(
        accepted=accepted,
        rejected=rejected,
        failed=failed,
        seconds=took_us / 1e6,
        p50_ms=p50_us / 1e3,
        p99_ms=p99_us / 1e3,
        generator="wrk",
    )


async def _own(url: str, body: dict[str, object], seconds: int, clients: int) -> Load:
    parts = urlsplit(url)
    payload = json.dumps(body).encode()
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(payload)}\r\n\r\n"
    )
    request = head.encode() + payload
    counts = {201: 0, 409: 0}
    failed, latencies = 0, []
    began = time.perf_counter()

    async def client() -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        while time.perf_counter() - began < seconds:
            sent = time.perf_counter()
            writer.write(request)
            try:
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"content-length: (\d+)", answer, re.IGNORECASE)[1])  # type: ignore[index]
                await reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                failed += 1
                reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
                continue
            latencies.append(time.perf_counter() - sent)
            status = int(answer[9:12])
            if status in counts:
                counts[status] += 1
            else:
                failed += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    took_s = time.perf_counter() - began
    latencies.sort()
    return Load(
        accepted=counts[201],
        rejected=counts[409],
        failed=failed,
        seconds=took_s,
        p50_ms=latencies[len(latencies) // 2] * 1e3 if latencies else 0.0,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1e3 if latencies else 0.0,
        generator="own client (Python; takes CPU from what it measures)",
    )
