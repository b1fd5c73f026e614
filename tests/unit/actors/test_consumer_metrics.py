"""What the consumers' process shows to a scrape."""

from prometheus_client import CollectorRegistry, generate_latest

from actors.consumer_metrics import register_consumers
from actors.consumers import ConsumersProcess
from cluster.host_reports import unpack_families
from persistence.stores import Stores


def test_each_feed_tells_how_far_it_is() -> None:
    feeds = [{"consumer": "notifier", "source": "orders journal", "handled": 5, "behind": 2, "failures": 1}]
    registry = CollectorRegistry()
    register_consumers(registry, lambda: feeds)
    text = generate_latest(registry).decode()
    labels = '{consumer="notifier",source="orders journal"}'
    assert f"stampede_consumer_events_total{labels} 5.0" in text
    assert f"stampede_consumer_lag_events{labels} 2.0" in text
    assert f"stampede_consumer_failures{labels} 1.0" in text
    feeds[0]["behind"] = 0
    assert f"stampede_consumer_lag_events{labels} 0.0" in generate_latest(registry).decode()


def test_before_it_runs_the_process_shows_itself_and_no_feeds() -> None:
    async def stores() -> Stores:
        raise AssertionError("nothing is opened for a scrape")

    async def stands() -> bool:
        return True

    process = ConsumersProcess(stands, open_stores=stores)
    families = {family.name: family.samples for family in unpack_families(process.metrics())}
    assert families["stampede_consumer_lag_events"] == ()
    assert families["process_open_fds"]
