"""A certificate for a server on loopback, and the authority that vouches for it; both made anew each time."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOST = "127.0.0.1"
_Key = ec.EllipticCurvePrivateKey


def server_context(folder: Path) -> tuple[ssl.SSLContext, bytes]:
    """What the server shows, and the authority's certificate for those who ask it."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("towline test authority", authority_key, "towline test authority", authority_key, True)
    certificate = _certificate("kubernetes", key, "towline test authority", authority_key, False)
    shown = folder / "server.pem"
    shown.write_bytes(_pem(certificate) + _key_pem(key))
    shown.chmod(0o600)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown)
    return context, _pem(authority)


def _certificate(name: str, key: _Key, issuer: str, issuer_key: _Key, is_authority: bool) -> x509.Certificate:
    now = datetime.now(UTC)
    usage = dict.fromkeys(["digital_signature", "key_cert_sign", "crl_sign"], True)
    others = ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    others += ["encipher_only", "decipher_only"]
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage, **dict.fromkeys(others, False)), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not is_authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST))]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: _Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
