"""The certificate that the server shows: the operator's own, or one made for this run.

EME needs a secure context: beyond this machine itself that is https. https://www.w3.org/TR/secure-contexts/
"""

from __future__ import annotations

import ipaddress
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from drm.errors import InvalidArgumentError

__all__ = ["Certificate", "load_certificate", "make_certificate"]

_LIFE: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Two files in PEM, and the SHA-256 fingerprint of the first certificate, as browsers show it."""

    chain: Path
    key: Path
    fingerprint: str


def load_certificate(chain: Path, key: Path) -> Certificate:
    """Take the operator's own. Raises InvalidArgumentError when the two files are no pair."""
    try:
        certificate = x509.load_pem_x509_certificate(chain.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except OSError as error:
        raise InvalidArgumentError(f"the certificate cannot be read: {error.strerror}", where=str(chain)) from None
    except (ValueError, TypeError):
        raise InvalidArgumentError(
            "certificate or key is not in PEM, or the key has a password", where=f"{chain} and {key}"
        ) from None
    if certificate.public_key() != private.public_key():
        raise InvalidArgumentError("the key is not the one of the certificate", where=f"{chain} and {key}")
    return Certificate(chain, key, _fingerprint(certificate))


def make_certificate(host: str) -> Certificate:
    """Make a self-signed one for `host` and this machine's own names. The key is in memory alone, never in a file."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clearkey license server")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain = _in_memory("certificate", certificate.public_bytes(serialization.Encoding.PEM))
    return Certificate(chain, _in_memory("key", pem), _fingerprint(certificate))


def _names(host: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.DNSName(socket.gethostname())]
    addresses = {ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")}
    try:
        addresses.add(ipaddress.ip_address(host))
    except ValueError:
        names.append(x509.DNSName(host))
    return names + [x509.IPAddress(address) for address in sorted(addresses, key=str)]


def _in_memory(name: str, data: bytes) -> Path:
    """A path for those who insist on one; it opens in this process and those that it forks, and nowhere else."""
    descriptor = os.memfd_create(f"clearkey-{name}", os.MFD_CLOEXEC)
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(data)
    return Path(f"/proc/self/fd/{descriptor}")


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
