"""Whose certificates are trusted, and which of them no longer."""

from __future__ import annotations

import os
import ssl

from aiodicom.tls.files import (
    TLSError,
    about,
    as_file,
    certificates,
    files_in,
    is_der,
    pem,
    read,
)
from aiodicom.tls.settings import TLS, Revocation, Verify

__all__ = ["load_authorities", "load_revocation_lists"]


def load_authorities(context: ssl.SSLContext, tls: TLS) -> None:
    """Trust what is in files and folders.

    Raises
    ------
    TLSError
        Where there is nothing to trust, although peers' certificates are required.
    """
    if tls.verify is Verify.REQUIRED and not (tls.authorities or tls.authority_folders):
        raise TLSError(
            "no peer's certificate can be verified without those of authorities:"
            " --add-cert-file, --add-cert-dir, or --ignore-peer-cert"
        )
    for path in tls.authorities:
        with about(f"authority {os.fspath(path)}"):
            if not _trust(context, read(path, "authority")):
                raise ValueError("it holds no certificate")
    for folder in tls.authority_folders:
        with about(f"authorities {os.fspath(folder)}"):
            if not sum(_trust_one_of_many(context, path) for path in files_in(folder)):
                raise ValueError("no certificate in there")
            context.load_verify_locations(capath=folder)


def _trust(context: ssl.SSLContext, data: bytes) -> bool:
    found = certificates(data)
    if found:
        context.load_verify_locations(cadata=b"".join(found))
    return bool(found)


def _trust_one_of_many(context: ssl.SSLContext, path: str) -> bool:
    """Trust a file in a folder, where there may be keys, lists and notes as well."""
    try:
        data = read(path, "authority")
    except TLSError:  # not ours to read
        return False
    with about(f"authority {path}"):
        try:
            return _trust(context, data)
        except ssl.SSLError:
            if is_der(data):  # a key, a list
                return False
            raise


def load_revocation_lists(context: ssl.SSLContext, tls: TLS) -> None:
    """Look certificates up in lists of those that were revoked.

    Raises
    ------
    TLSError
        Where they are to be looked up, and there is no list.
    """
    for path in tls.revocation_lists:
        data = read(path, "revocation list")
        with about(f"revocation list {os.fspath(path)}"):
            if is_der(data):
                data = pem("X509 CRL", data)
            if b"-----BEGIN X509 CRL-----" not in data:
                raise ValueError("it holds no revocation list")
            with as_file(data) as name:
                context.load_verify_locations(cafile=name)
    if tls.revocation is Revocation.NOBODYS:
        return
    if not (tls.revocation_lists or tls.authority_folders):
        raise TLSError("no certificate can be checked without revocation lists (--add-crl-file)")
    context.verify_flags |= tls.revocation.value
