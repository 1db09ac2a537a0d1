"""A private key's password, typed where nothing says it."""

from __future__ import annotations

__all__ = ["TypedPassword"]


class TypedPassword:
    """Asks the terminal for a key's password, or standard input, where there is none. Once.

    Parameters
    ----------
    key : str or None
        The private key's file.
    """

    def __init__(self, key: str | None) -> None:
        self._key = key
        self._typed: str | None = None
        self._may_ask = True

    def __call__(self) -> str:
        """Return what was typed.

        Raises
        ------
        TLSError
            Where nobody types it.
        """
        from aiodicom.tls import TLSError

        if self._typed is None:
            if not self._may_ask:
                raise TLSError(
                    f"private key {self._key}: it is encrypted now, and was not at the start:"
                    " start again, or --use-passwd"
                )
            self._typed = self._ask()
        return self._typed

    def ask_no_more(self) -> None:
        """Never ask from now on: a receiver that runs has no terminal."""
        self._may_ask = False

    def _ask(self) -> str:
        import getpass
        import warnings

        from aiodicom.tls import TLSError

        try:
            with warnings.catch_warnings():  # standard input may well be no terminal
                warnings.simplefilter("ignore", getpass.GetPassWarning)
                return getpass.getpass(f"Password of private key {self._key}: ")
        except (EOFError, OSError):
            raise TLSError(
                f"private key {self._key}: it is encrypted, and nobody types its password:"
                " --use-passwd"
            ) from None
