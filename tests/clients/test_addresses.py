from __future__ import annotations

from typing import Any

import pytest

from portal.clients import addresses
from portal.clients.metadata import Rules
from tests.clients.test_rules import RULES, mistakes, the_mistake


@pytest.mark.parametrize(
    "uri",
    [
        "https://quokka.example/callback",
        "https://quokka.example",
        "https://quokka.example:8443/a/b%20c?tenant=1&x=",
        "https://xn--quokk-mqa.example/",
        "https://203.0.113.7/callback",
        "https://[2001:db8::1]/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:5001/callback",
        "http://[::1]:5001/callback",
        "http://localhost:5001/callback",
    ],
)
def test_a_redirect_uri_is_https_or_loopback(uri: str) -> None:
    assert addresses.find_redirect_fault(uri) is None
    assert mistakes(redirect_uris=[uri]) == []


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("http://quokka.example/callback", "must use https"),
        ("http://localhost.evil.example/callback", "must use https"),
        ("http://127.0.0.2/callback", "must use https"),
        ("http://0.0.0.0/callback", "must use https"),
        ("http://[::ffff:127.0.0.1]/callback", "usual way"),
        ("http://127.1/callback", "usual way"),
        ("https://2130706433/callback", "usual way"),
        ("https://0x7f000001/callback", "usual way"),
        ("https://*.quokka.example/callback", "usual way"),
        ("https://quokka.example/*", "wildcard"),
        ("https://quokka.example/%2A", "wildcard"),
        ("https://quokka.example/callback#x", "fragment"),
        ("https://quokka.example/callback#", "fragment"),
        ("https://user@quokka.example/callback", "must not name a user"),
        ("https://quokka.example@evil.example/callback", "must not name a user"),
        ("https://quokka.example\\@evil.example/", "percent-encoded"),
        ("https://quokka.example/call back", "percent-encoded"),
        ("https://quokka.example/\ncallback", "percent-encoded"),
        ("https://quokka.example/callback\n", "percent-encoded"),
        (" https://quokka.example/callback", "percent-encoded"),
        ("https://quokka.example/\x00", "percent-encoded"),
        ("https://quökka.example/callback", "percent-encoded"),
        ("https://quokka.example/%zz", "percent-encoded"),
        ('https://quokka.example/"onload=', "percent-encoded"),
        ("https://QUOKKA.example/callback", "usual way"),
        ("HTTPS://quokka.example/callback", "must begin with https://"),
        ("https:quokka.example/callback", "must begin with https://"),
        ("//quokka.example/callback", "must begin with https://"),
        ("/callback", "must begin with https://"),
        ("javascript:alert(1)", "must begin with https://"),
        ("data:text/html,x", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("com.quokka.app:/callback", "must begin with https://"),
        ("https:///callback", "no host"),
        ("https://quokka..example/", "usual way"),
        ("https://-quokka.example/", "usual way"),
        ("https://quokka.example:/callback", "port"),
        ("https://quokka.example:0/callback", "port"),
        ("https://quokka.example:99999/callback", "cannot be read|can be read"),
        ("https://[::1/callback", "can be read"),
        ("https://[fe80::1%25eth0]/callback", "usual way"),
        ("https://quokka.example/a/../callback", "in its path"),
        ("https://quokka.example/%2e%2e/callback", "in its path"),
        ("https://quokka.example/callback?code=mine", "such as code"),
        ("https://quokka.example/callback?iss=mine", "such as code"),
        ("https://quokka.example/" + "a" * 2000, "at most 2000"),
        ("", "not empty"),
    ],
)
def test_another_redirect_uri_is_refused_with_its_reason(uri: str, words: str) -> None:
    fault = addresses.find_redirect_fault(uri)
    assert fault is not None and any(word in fault for word in words.split("|"))
    assert the_mistake(redirect_uris=["https://quokka.example/good", uri]).startswith("redirect_uris: number 2 ")
    assert the_mistake(post_logout_redirect_uris=[uri]).startswith("post_logout_redirect_uris: number 1 ")


@pytest.mark.parametrize(
    "value", [None, [], "https://quokka.example", [1], [["https://quokka.example"]], {}, ["https://a.example/"] * 21]
)
def test_redirect_uris_are_a_list_with_at_least_one(value: Any) -> None:
    assert mistakes(redirect_uris=value)


def test_the_same_redirect_uri_twice_is_a_mistake() -> None:
    assert "twice" in the_mistake(redirect_uris=["https://quokka.example/"] * 2)


@pytest.mark.parametrize("member", ["client_uri", "policy_uri", "tos_uri"])
def test_a_site_is_https_and_in_development_loopback_too(member: str) -> None:
    assert mistakes(**{member: "https://quokka.example/terms#part-2"}) == []
    assert the_mistake(**{member: "javascript:alert(1)"}).startswith(f"{member} must begin with https://")
    assert the_mistake(**{member: "http://127.0.0.1:5001/"}) == f"{member} must use https in production"
    development = Rules(**{**RULES.__dict__, "is_production": False})
    assert mistakes(development, **{member: "http://127.0.0.1:5001/"}) == []
    assert mistakes(development, **{member: "http://quokka.example/"})
