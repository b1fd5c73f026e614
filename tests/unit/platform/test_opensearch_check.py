"""What `up` says of the OpenSearch that it is given."""

import pytest

from persistence.errors import StoreMisconfigured
from persistence.opensearch.product_search import OpenSearchProductSearch
from persistence.settings import StoreSettings
from serve.platform.errors import UserError
from serve.platform.opensearch_check import check_opensearch

SETTINGS = StoreSettings.of("postgresql://nobody@localhost/none", opensearch_url="http://shop:s3cret@127.0.0.1:1")


def test_a_server_that_is_away_is_noted_and_the_platform_starts() -> None:
    notes: list[str] = []
    check_opensearch(SETTINGS, notes.append)
    (note,) = notes
    assert note.startswith("OPENSEARCH_URL: OpenSearch is not reached")
    assert "s3cret" not in note


def test_a_server_of_no_use_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_search: OpenSearchProductSearch) -> None:
        raise StoreMisconfigured("OPENSEARCH_URL: the server refuses this user or password")

    monkeypatch.setattr(OpenSearchProductSearch, "check", refuse)
    with pytest.raises(UserError, match="OPENSEARCH_URL: the server refuses"):
        check_opensearch(SETTINGS, print)


def test_the_file_of_the_authority_must_be_there() -> None:
    url = "https://127.0.0.1:1?ca=/nowhere/ca.pem"
    with pytest.raises(UserError, match="OPENSEARCH_URL: the file of ca"):
        check_opensearch(StoreSettings.of("postgresql://nobody@localhost/none", opensearch_url=url), print)
