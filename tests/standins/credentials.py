"""Consumers with keys and tokens, as the platform's identity makes them."""

from __future__ import annotations

import base64
import json
import time
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.standins.gateway import Gateway


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@cache
def private_key(algorithm: str) -> Any:
    """One key for each kind of algorithm."""
    if algorithm.startswith("ES"):
        return ec.generate_private_key({"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1()}[algorithm])
    return ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else rsa.generate_private_key(65537, 2048)


def public_pem(algorithm: str) -> str:
    public = private_key(algorithm).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _sign(algorithm: str, data: bytes, secret: str) -> bytes:
    if algorithm == "EdDSA":
        return private_key(algorithm).sign(data)
    digest = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[algorithm[2:]]()
    if algorithm.startswith("HS"):
        mac = hmac.HMAC(secret.encode(), digest)
        mac.update(data)
        return mac.finalize()
    key = private_key(algorithm)
    match algorithm[:2]:
        case "RS":
            return key.sign(data, padding.PKCS1v15(), digest)
        case "PS":
            return key.sign(data, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        case _:
            size = (key.curve.key_size + 7) // 8
            return b"".join(n.to_bytes(size) for n in decode_dss_signature(key.sign(data, ec.ECDSA(digest))))


def token(algorithm: str = "RS256", secret: str = "", **claims: Any) -> str:
    """A token that is valid for five minutes unless ``claims`` say something else."""
    payload = {"iss": "auth", "sub": "ann", "gw": "user:1", "exp": int(time.time()) + 300, **claims}
    parts = [_text(json.dumps(part).encode()) for part in ({"alg": algorithm, "typ": "JWT"}, payload)]
    data = ".".join(parts).encode()
    return f"{data.decode()}.{_text(_sign(algorithm, data, secret))}"


def roles(kong: Gateway) -> None:
    """A consumer per role with the groups it includes, and the signing key of each."""
    included = {"admin": ["admin", "operator", "user"], "operator": ["operator", "user"], "user": ["user"]}
    for role, groups in included.items():
        kong.post("/consumers", username=f"role-{role}")
        for group in groups:
            kong.post(f"/consumers/role-{role}/acls", group=group)
        kong.post(f"/consumers/role-{role}/jwt", key=f"{role}:1", algorithm="RS256", rsa_public_key=public_pem("RS256"))


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}
