"""Events are sent over https, or to this machine; no trick makes another host look like it."""

import pytest

from configs.values.addresses import require_safe_address

SAFE = [
    "https://crm.example/hooks",
    "https://crm.example:8443/hooks?team=1",
    "https://10.0.0.9/hooks",
    "https://xn--bcher-kva.example/hooks",
    "http://localhost:8000/hooks",
    "http://LOCALHOST/hooks",
    "http://127.0.0.1/hooks",
    "http://127.8.9.10:1/",
    "http://[::1]:8000/hooks",
    "http://localhost?@crm.example/",
]
UNSAFE = {
    "http://crm.example/hooks": "https, except on this machine",
    "http://localhost.crm.example/": "https, except on this machine",
    "http://localhost./": "https, except on this machine",
    "http://localhost:pw@evil.example/": "no user or password",
    "http://127.0.0.1:80@evil.example/": "no user or password",
    "http://[::1]:1@evil.example/": "no user or password",
    "https://user:secret@crm.example/": "no user or password",
    "http://localhost\\@evil.example/": "no user or password",
    "http://localhost\\.evil.example/": "must have a host",
    "http://localhost%2eevil.example/": "must have a host",
    "http://localhost%00.evil.example/": "must have a host",
    "http://[::1%25eth0]/": "must have a host",
    "http://l\u043ecalhost/": "must be ASCII",  # with a Cyrillic letter
    "http://①27.0.0.1/": "must be ASCII",
    "http://127。0。0。1/": "must be ASCII",
    "http://local host/": "must be ASCII",
    "http://localhost\n.evil.example/": "must be ASCII",
    "http://2130706433/": "https, except on this machine",
    "http://0x7f000001/": "https, except on this machine",
    "http://0177.0.0.1/": "https, except on this machine",
    "http://127.1/": "https, except on this machine",
    "http://127.0.0.1.evil.example/": "https, except on this machine",
    "http://0.0.0.0/": "https, except on this machine",
    "http://[::]/": "https, except on this machine",
    "http://localhost:0/": "port",
    "http://localhost:99999/": "[Pp]ort",
    "http:///hooks": "must have a host",
    "https://": "must have a host",
    "ftp://localhost/": "must be https",
    "localhost": "must have a host",
}


@pytest.mark.parametrize("url", SAFE)
def test_an_address_on_this_machine_or_over_https_is_taken_as_it_is(url: str):
    assert require_safe_address(url) == url


@pytest.mark.parametrize(("url", "reason"), UNSAFE.items())
def test_any_other_address_is_refused_with_the_reason(url: str, reason: str):
    with pytest.raises(ValueError, match=reason):
        require_safe_address(url)
