"""A start looks at Kafka: one that refuses us stops it with a line, one that is away does not."""

import logging

import pytest

from persistence.errors import StoreMisconfigured
from persistence.kafka_settings import KafkaSettings
from persistence.memory.events import MemoryBroker
from persistence.memory.seams import Seams
from serve.platform import kafka_check
from serve.platform.errors import UserError
from serve.platform.settings import read_settings


def test_one_that_is_away_is_logged_and_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        kafka_check.check_kafka(KafkaSettings(kafka_bootstrap_servers="127.0.0.1:1"))
    assert "is away" in caplog.text


def test_one_that_refuses_us_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(_name: str) -> None:
        raise StoreMisconfigured("kafka: no broker answers: it does not accept KAFKA_SASL_USERNAME")

    monkeypatch.setattr(kafka_check, "open_events", lambda _settings: MemoryBroker(Seams(before=refuse)))
    with pytest.raises(UserError, match="KAFKA_SASL_USERNAME"):
        kafka_check.check_kafka(KafkaSettings(kafka_bootstrap_servers="k:1"))


def test_a_file_of_certificates_that_is_not_there_is_named() -> None:
    settings = KafkaSettings(
        kafka_bootstrap_servers="127.0.0.1:1", kafka_security_protocol="SSL", kafka_ca_file="/nowhere.pem"
    )
    with pytest.raises(UserError, match="KAFKA_CA_FILE"):
        kafka_check.check_kafka(settings)


def test_a_wrong_setting_is_refused_by_its_name_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka://s3cret@host")
    with pytest.raises(UserError, match="KAFKA_BOOTSTRAP_SERVERS") as caught:
        read_settings()
    assert "s3cret" not in str(caught.value)
