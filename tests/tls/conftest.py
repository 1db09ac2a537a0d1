"""Two authorities, and one that nobody else knows."""

from __future__ import annotations

import pytest
import trustme

from aiodicom.tls import TLS
from tests.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def both(authority: Authority) -> TLS:
    """What either side wants."""
    return authority.tls()


@pytest.fixture(scope="session")
def rsa(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    """The same with RSA keys, which most cipher suites are for."""
    return Authority(tmp_path_factory.mktemp("rsa"), trustme.KeyType.RSA).tls()


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> TLS:
    return Authority(tmp_path_factory.mktemp("stranger")).tls()
