"""Why a TLS handshake has failed, in words."""

from __future__ import annotations

import ssl

__all__ = ["why_no_tls"]

_VERIFIED = {
    3: "there is no revocation list of its issuer's",
    12: "the revocation list of its issuer is out of date",
    18: "it is self-signed, and is not one that we trust",
    19: "an authority that we do not trust has issued it",
    20: "an authority that we do not trust has issued it",
    21: "an authority that we do not trust has issued it",
}
"""What OpenSSL's numbers (X509_V_ERR) mean here, where its own words need to be explained."""

_REASONS = {
    "HTTP_REQUEST": "what it sends is not TLS",
    "INAPPROPRIATE_FALLBACK": "it has fallen back to a version of TLS that is too old",
    "NO_PROTOCOLS_AVAILABLE": "no version of TLS in common",
    "NO_SHARED_CIPHER": "no cipher suite in common",
    "NO_SUITABLE_KEY_SHARE": "no group for the key exchange in common",
    "NO_SUITABLE_SIGNATURE_ALGORITHM": "no signature algorithm in common",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate",
    "UNEXPECTED_EOF_WHILE_READING": "it has closed the connection in the middle of the handshake",
    "UNSUPPORTED_PROTOCOL": "it speaks none of the versions of TLS that are wanted",
    "VERSION_TOO_LOW": "it speaks none of the versions of TLS that are wanted",
    "WRONG_SSL_VERSION": "it speaks none of the versions of TLS that are wanted",
    "WRONG_VERSION_NUMBER": "what it sends is not TLS",
}

_ALERTS = {
    "ACCESS_DENIED": "it denies us access",
    "BAD_CERTIFICATE": "it does not accept our certificate",
    "CERTIFICATE_EXPIRED": "it says that our certificate has expired, or is not valid yet",
    "CERTIFICATE_REQUIRED": "it wants a certificate, and we have shown none",
    "CERTIFICATE_REVOKED": "it says that our certificate was revoked",
    "CERTIFICATE_UNKNOWN": "it does not accept our certificate",
    "HANDSHAKE_FAILURE": "it says that there is no cipher suite in common, or no certificate",
    "INSUFFICIENT_SECURITY": "it wants stronger cipher suites",
    "PROTOCOL_VERSION": "it speaks none of the versions of TLS that are wanted",
    "UNKNOWN_CA": "it does not trust the authority that has issued our certificate",
    "UNRECOGNIZED_NAME": "it does not go by the name that was asked for",
    "UNSUPPORTED_CERTIFICATE": "it does not accept certificates such as ours",
}
"""What the peer says (RFC 8446 section 6.2). OpenSSL puts TLSV1_ALERT_ or the like before it."""


def why_no_tls(error: ssl.SSLError, whose: str = "its certificate is not accepted") -> str:
    """Return why a handshake has failed, or what has ended a connection behind TLS.

    Parameters
    ----------
    error : ssl.SSLError
        What was raised; "it" is the peer.
    whose : str
        What comes before a reason why the peer's certificate was refused.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{whose}: {_VERIFIED.get(error.verify_code, error.verify_message)}"
    if not error.reason:
        return str(error)
    if error.reason in _REASONS:
        return _REASONS[error.reason]
    said = error.reason.partition("_ALERT_")[2] or error.reason.partition("_")[2]
    return _ALERTS.get(said) or error.reason.replace("_", " ").lower()
