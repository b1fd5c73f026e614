"""What OPENSEARCH_URL may say."""

import pytest
from pydantic import ValidationError

from persistence.opensearch_settings import OpenSearchSettings
from persistence.opensearch_url import OpenSearchServer, parse_opensearch_url


def test_a_url_says_where_and_as_whom() -> None:
    assert parse_opensearch_url("https://shop:p%40ss@search.example:9443/base?prefix=shop-b&ca=/etc/ca.pem") == (
        OpenSearchServer(
            host="search.example",
            port=9443,
            tls=True,
            path="base",
            user="shop",
            password="p@ss",
            prefix="shop-b",
            ca="/etc/ca.pem",
        )
    )


def test_the_port_and_the_prefix_have_defaults() -> None:
    server = parse_opensearch_url("http://[::1]")
    assert (server.host, server.port, server.prefix, server.ca, server.user) == ("::1", 9200, "stampede", None, "")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:9200",
        "opensearch://localhost",
        "http://",
        "http://host:port",
        "http://user@host",
        "http://host#part",
        "http://host?prefix=Shop",
        "http://host?prefix=a&prefix=b",
        "http://host?prefix=",
        "http://host?verify=off",
        "http://host?ca=/x",
        "https://host?ca=",
    ],
)
def test_what_is_no_url_is_refused_in_a_line_that_names_the_setting(url: str) -> None:
    with pytest.raises(ValueError, match="OPENSEARCH_URL"):
        parse_opensearch_url(url)


def test_a_wrong_url_stops_the_settings_and_its_password_is_not_told() -> None:
    with pytest.raises(ValidationError) as raised:
        OpenSearchSettings(opensearch_url="https://shop:s3cret@host:0x50")  # type: ignore[arg-type]
    assert "OPENSEARCH_URL" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_a_password_is_not_shown() -> None:
    assert "s3cret" not in repr(parse_opensearch_url("https://shop:s3cret@search.example"))
