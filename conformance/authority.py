"""Certificates for tests, and what a client sees of those that a server has."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from cryptography import x509
from harness import PATIENCE, Client, Server


@dataclass
class Authority:
    """An authority of our own and the folder that its certificates are written to."""

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def root(self) -> Path:
        """The file that clients trust."""
        path = self.folder / "root.pem"
        self.ca.cert_pem.write_to_path(str(path))
        return path

    def issue(self, name: str, *names: str) -> tuple[Path, Path]:
        """Certificate and key of ``name`` as files, put in place whole."""
        leaf = self.ca.issue_cert(*(names or (name,)))
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
        for path, blobs in ((cert, leaf.cert_chain_pems), (key, [leaf.private_key_pem])):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(b"".join(blob.bytes() for blob in blobs))
            fresh.replace(path)
        return cert, key


def connect(
    server: Server, name: str, *, trust: Path | None = None, present: tuple[Path, Path] | None = None, alpn: str = ""
) -> Client:
    """A connection with TLS, as a client that looks for ``name``. Without ``trust`` it believes everybody."""
    context = ssl.create_default_context(cafile=trust)
    if trust is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if present:
        context.load_cert_chain(*present)
    if alpn:
        context.set_alpn_protocols([alpn])
    sock = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    try:
        return Client(context.wrap_socket(sock, server_hostname=name or None))
    except BaseException:
        sock.close()
        raise


def certificate(server: Server, name: str, *, trust: Path | None = None) -> x509.Certificate:
    """What a client that looks for ``name`` gets."""
    with connect(server, name, trust=trust) as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        found = client.sock.getpeercert(binary_form=True)
    assert found
    return x509.load_der_x509_certificate(found)
