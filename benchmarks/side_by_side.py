#!/usr/bin/env python3
"""Measures Backline and other servers in turns, in one run, and prints ratios. See README.md beside this file."""

import argparse
import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
BIN = Path(sys.executable).parent
TICK = os.sysconf("SC_CLK_TCK")


def peers(port: int, backline: str) -> dict[str, dict[str, list[str]]]:
    """Command lines by case and server; all run in apps/."""
    bind = f"127.0.0.1:{port}"
    host = ["--host", "127.0.0.1", "--port", str(port)]

    def granian(kind: str, app: str, *more: str) -> list[str]:
        return [f"{BIN}/granian", "--interface", kind, *host, "--workers", "1", *more, app]

    def gthread(app: str, threads: str = "8") -> list[str]:
        return [f"{BIN}/gunicorn", "-b", bind, "-w", "1", "-k", "gthread", "--threads", threads, app]

    def ours(app: str, *more: str) -> list[str]:
        return [backline, "serve", app, "--bind", bind, "--workers", "1", "--python", sys.executable, *more]

    def wsgi(app: str) -> dict[str, list[str]]:
        return {"backline": ours(app, "--threads", "8"), "granian": granian("wsgi", app), "gunicorn": gthread(app)}

    def gevent(app: str) -> dict[str, list[str]]:
        gunicorn = [f"{BIN}/gunicorn", "-b", bind, "-w", "1", "-k", "gevent", app]
        return {"backline": ours(app, "--worker-class", "gevent"), "gunicorn": gunicorn}

    uvicorn = [f"{BIN}/uvicorn", *host, "--no-access-log", "--log-level", "warning", "hello:asgi"]
    return {
        "asgi-hello": {
            "backline": ours("hello:asgi"),
            "granian": granian("asgi", "hello:asgi", "--no-ws"),
            "uvicorn": uvicorn,
        },
        "wsgi-hello": wsgi("hello:wsgi"),
        "django-hello": wsgi("djsite:wsgi"),
        "django-page": wsgi("djsite:wsgi"),
        "gevent-hello": gevent("hello:wsgi"),
        "sleep": {"backline": ours("hello:sleeper", "--threads", "64"), "gunicorn": gthread("hello:sleeper", "64")},
        "gevent-sleep": gevent("hello:sleeper"),
    }


PATHS = {"django-hello": "/hello", "django-page": "/page"}


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found.extend(int(child) for child in task.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    total = 0
    for each in tree(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return total / TICK


def rss_mb(pid: int) -> float:
    total = 0
    for each in tree(pid):
        with contextlib.suppress(OSError, AttributeError):
            total += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{each}/status").read_text()).group(1))
    return total / 1024


class Server:
    """One server pinned to core 0, started and stopped with its whole process group."""

    def __init__(self, command: list[str], port: int, path: str) -> None:
        log = open("/tmp/side_by_side.log", "ab")  # noqa: SIM115 - the server keeps it
        self.process = subprocess.Popen(
            ["taskset", "-c", "0", *command], cwd=HERE / "apps", stdout=log, stderr=log, start_new_session=True
        )
        for _ in range(150):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2).read()
                return
            except Exception:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        self.stop()
        raise SystemExit(f"did not start: {' '.join(command)}; see /tmp/side_by_side.log")

    def stop(self) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, sign)
            except ProcessLookupError:
                break
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                continue
        time.sleep(0.3)


def http_round(server: Server, port: int, path: str, clients: int, seconds: int) -> dict[str, float]:
    url = f"http://127.0.0.1:{port}{path}"
    load = ["taskset", "-c", "1", "wrk", "-t1", f"-c{clients}", "--latency"]
    subprocess.run([*load, "-d1s", url], capture_output=True, check=True)
    before = cpu_seconds(server.process.pid)
    out = subprocess.run([*load, f"-d{seconds}s", url], capture_output=True, check=True, text=True).stdout
    spent = cpu_seconds(server.process.pid) - before
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    bad = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", out)))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    return {
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
        "cpu_us": spent * 1e6 / max(requests, 1),
        "p99_ms": float(p99.group(1)) * {"us": 0.001, "ms": 1, "s": 1000}[p99.group(2)],
        "rss_mb": rss_mb(server.process.pid),
        "bad": bad + (sum(map(int, errors.groups())) if errors else 0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", help="may be given again; default: every case")
    parser.add_argument("--backline", default=str(HERE.parent / "bin" / "backline"), help="the binary under test")
    parser.add_argument("--only", help="comma-separated servers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--port", type=int, default=8765)
    args = parser.parse_args()
    known = peers(args.port, str(Path(args.backline).resolve()))
    for case in args.case or known:
        if case not in known:
            parser.error(f"no case {case!r}; there are {', '.join(known)}")
        commands = known[case]
        if args.only:
            commands = {name: commands[name] for name in args.only.split(",")}
        print(case, flush=True)
        report(measure(commands, PATHS.get(case, "/"), args))


def measure(commands: dict[str, list[str]], path: str, args: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """The servers take turns, so that what disturbs one round disturbs all of them."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(args.rounds):
        for name, command in commands.items():
            server = Server(command, args.port, path)
            try:
                results[name].append(http_round(server, args.port, path, args.clients, args.seconds))
            finally:
                server.stop()
    return results


def report(results: dict[str, list[dict[str, float]]]) -> None:
    """Medians, and the ratio of ours to each."""
    ours = statistics.median(each["rps"] for each in next(iter(results.values())))
    for name, rounds in results.items():
        row = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        figures = " ".join(f"{key}={value:.4g}" for key, value in row.items())
        print(f"  {name:10s} {figures}  ours: {ours / row['rps']:.2f} x", flush=True)


if __name__ == "__main__":
    main()
