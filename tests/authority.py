"""Certificates for servers of tests, by a root and an issuing authority as Vault has them."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

Signer = tuple[x509.Certificate | None, ec.EllipticCurvePrivateKey]


class Authority:
    """``root`` is the file of its certificate; ``issue`` writes what a server is given."""

    def __init__(self, folder: Path, name: str = "root") -> None:
        self.root, key = folder / f"{name}.pem", ec.generate_private_key(ec.SECP256R1())
        made = _certificate(name, key, (None, key), authority=True)
        self.root.write_bytes(made.public_bytes(Encoding.PEM))
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._issuing = _certificate(f"{name} issuing", self._key, (made, key), authority=True)

    def issue(self, file: Path, *names: str) -> int:
        """Write key, certificate and the issuing one's to ``file``; returns the certificate's serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _certificate(names[0], key, (self._issuing, self._key), names=names)
        parts = (made.public_bytes(Encoding.PEM), self._issuing.public_bytes(Encoding.PEM))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        file.write_bytes(b"".join((secret, *parts)))
        return made.serial_number


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, by: Signer, *, authority: bool = False, names: tuple[str, ...] = ()
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by[0].subject if by[0] else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
    return made.sign(by[1], hashes.SHA256())
