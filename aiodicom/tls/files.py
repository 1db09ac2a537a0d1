"""Keys, certificates and revocation lists: from PEM or DER files to what `ssl` takes.

`ssl` reads most of this from PEM files only. What is DER becomes PEM in memory, and a file
without a name lends it to `ssl` for as long as one call takes.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import re
import ssl
import tempfile
from collections.abc import Iterator

from aiodicom.errors import DicomError

__all__ = [
    "StrPath",
    "TLSError",
    "about",
    "as_file",
    "certificates",
    "elements",
    "files_in",
    "is_der",
    "is_encrypted",
    "key_as_pem",
    "pem",
    "read",
    "revocation_lists",
    "sequence",
    "words",
]

StrPath = str | os.PathLike[str]

_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:X509 )?CERTIFICATE-----(.*?)-----END (?:X509 )?CERTIFICATE-----", re.DOTALL
)

_REVOCATION_LIST = re.compile(rb"-----BEGIN X509 CRL-----(.*?)-----END X509 CRL-----", re.DOTALL)

_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04


class TLSError(DicomError, ValueError):
    """A TLS context cannot be made: one line with the file, what is wrong, and the remedy."""


def read(path: StrPath, what: str) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    TLSError
        Where it cannot be read; `what` says what it should be.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise TLSError(f"{what} {os.fspath(path)}: {reason}") from None


def files_in(folder: StrPath) -> list[str]:
    """Return the paths of all files in a folder.

    Raises
    ------
    OSError
        Where it cannot be read.
    """
    with os.scandir(folder) as entries:
        return sorted(os.fspath(entry.path) for entry in entries if entry.is_file())


def is_der(data: bytes) -> bool:
    """Tell whether data is DER: all that is read here are sequences of ASN.1."""
    return data[:1] == b"\x30" and b"-----BEGIN " not in data


def pem(label: str, der: bytes) -> bytes:
    """Return DER as PEM (RFC 7468)."""
    lines = base64.b64encode(der).decode("ascii")
    body = "\n".join(lines[start : start + 64] for start in range(0, len(lines), 64))
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode("ascii")


def certificates(data: bytes) -> list[bytes]:
    """Return each certificate in PEM or DER data, as DER; an empty list where there is none.

    Raises
    ------
    ValueError
        Where what is marked as a certificate cannot be one.
    """
    if is_der(data):
        return [data]
    try:
        found = [base64.b64decode(body) for body in _CERTIFICATE.findall(data)]
    except binascii.Error:
        found = [b""]
    if not all(found):
        raise ValueError("a certificate in it is damaged")
    return found


def revocation_lists(data: bytes) -> list[bytes]:
    """Return each revocation list in PEM or DER data, as DER.

    Raises
    ------
    ValueError
        Where what is marked as one cannot be it.
    """
    if is_der(data):
        return [data]
    return [base64.b64decode(body) for body in _REVOCATION_LIST.findall(data)]


def is_encrypted(key: bytes) -> bool:
    """Tell whether a private key, as PEM, takes a password."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in key or b"Proc-Type: 4,ENCRYPTED" in key


def key_as_pem(der: bytes) -> bytes:
    """Return a private key in DER as PEM.

    Its first two elements tell what kind it is: PKCS #8, encrypted or not (RFC 5208), RSA's own
    (RFC 8017) or that of elliptic curves (RFC 5915).

    Raises
    ------
    ValueError
        Where it is none of them.
    """
    kinds = [kind for kind, _ in elements(sequence(der))][:2]
    if kinds == [_SEQUENCE, _OCTETS]:
        return pem("ENCRYPTED PRIVATE KEY", der)
    if kinds == [_INTEGER, _SEQUENCE]:
        return pem("PRIVATE KEY", der)
    if kinds == [_INTEGER, _OCTETS]:
        return pem("EC PRIVATE KEY", der)
    if kinds == [_INTEGER, _INTEGER]:
        return pem("RSA PRIVATE KEY", der)
    raise ValueError("it holds no private key")


def sequence(der: bytes | memoryview) -> memoryview:
    """Return what is in a DER sequence (X.690 8.1).

    Raises
    ------
    ValueError
        Where it is none.
    """
    return _element(memoryview(der))[1]


def elements(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield tag and content of each element in a sequence.

    Raises
    ------
    ValueError
        Where it is no DER.
    """
    while content:
        kind, inside, length = _element(content)
        yield kind, inside
        content = content[length:]


def _element(data: memoryview) -> tuple[int, memoryview, int]:
    """Return tag, content and whole length of the first element."""
    if len(data) < 2:
        raise ValueError("it is not DER")
    length, start = data[1], 2
    if length & 0x80:  # X.690 8.1.3.5: the length's own length
        start += length & 0x7F
        length = int.from_bytes(data[2:start], "big")
    end = start + length
    return data[0], data[start:end], end


@contextlib.contextmanager
def as_file(data: bytes) -> Iterator[str]:
    """Lend data as a file that nobody else can read, to a call that wants a name."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        with open(os.memfd_create("aiodicom"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile(prefix="aiodicom-") as named:  # mode 0600
            named.write(data)
            named.flush()
            yield named.name


@contextlib.contextmanager
def about(what: str) -> Iterator[None]:
    """Make a `TLSError` about something of what is wrong with it."""
    try:
        yield
    except TLSError:
        raise
    except ssl.SSLError as error:
        raise TLSError(f"{what}: {words(error)}") from None
    except OSError as error:
        raise TLSError(f"{what}: {error.strerror}") from None
    except ValueError as error:
        raise TLSError(f"{what}: {error}") from None


def words(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason for an error."""
    return (error.reason or "it is damaged").replace("_", " ").lower()
