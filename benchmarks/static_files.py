#!/usr/bin/env python3
"""Measures files in turns: --static beside nginx, and pathsend beside granian. See README.md beside this file."""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from side_by_side import BIN, HERE, measure, report

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  include /etc/nginx/mime.types; access_log off; sendfile on; keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; location /static/ {{ alias {folder}/files/; }} }}
}}
"""


def need_nginx() -> str:
    """Debian's, installed where that can be done without a question."""
    if not shutil.which("nginx") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "nginx-light"], check=True)
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not found:
        raise SystemExit("nginx is not installed: apt-get install nginx-light")
    return found


def commands(folder: Path, args: argparse.Namespace) -> dict[str, dict[str, list[str]]]:
    """Command lines by case and server, ours first."""
    bind = f"127.0.0.1:{args.port}"
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=args.port))
    backline = [str(Path(args.backline).resolve()), "serve", "files:asgi", "--bind", bind, "--workers", "1"]
    ours = [*backline, "--python", sys.executable]
    granian = [f"{BIN}/granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(args.port)]
    return {
        "static": {
            "backline": [*ours, "--static", f"/static/={folder}/files"],
            "nginx": [need_nginx(), "-p", str(folder), "-c", f"{folder}/nginx.conf"],
        },
        "pathsend": {"backline": ours, "granian": [*granian, "--workers", "1", "--no-ws", "files:asgi"]},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=["static", "pathsend"], help="default: both")
    parser.add_argument("--backline", default=str(HERE.parent / "bin" / "backline"), help="the binary under test")
    parser.add_argument("--size", type=int, default=50_000, help="bytes of the file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--port", type=int, default=8766)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker may be another user
        (folder / "files").mkdir()
        file = folder / "files" / "file.css"
        file.write_bytes(random.Random(1).randbytes(args.size))
        os.environ["FILE"] = str(file)
        for case, servers in commands(folder, args).items():
            if not args.case or case in args.case:
                print(f"{case}, {args.size} bytes", flush=True)
                report(measure(servers, "/static/file.css", args))


if __name__ == "__main__":
    main()
