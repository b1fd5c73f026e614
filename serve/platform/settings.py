"""The settings as a command reads them: what is wrong with them is one line."""

from pydantic import ValidationError

from persistence.kafka_settings import KafkaSettings
from persistence.mongo_settings import MongoSettings
from persistence.opensearch_settings import OpenSearchSettings
from persistence.redis_settings import RedisSettings
from persistence.settings import MailSettings
from serve.platform.errors import UserError
from serve.settings import ServeSettings, setting_faults


def read_settings() -> ServeSettings:
    """Those of the environment. Raises `UserError` that names the variables, and not what they hold."""
    try:
        MailSettings()
    except ValidationError as error:
        raise UserError(f"a setting is wrong: {setting_faults(error, MailSettings)}") from None
    try:
        KafkaSettings()
    except ValidationError as error:
        raise UserError(f"a setting is wrong: {setting_faults(error, KafkaSettings)}") from None
    try:
        RedisSettings()
    except ValidationError as error:
        raise UserError(f"a setting is wrong: {setting_faults(error, RedisSettings)}") from None
    try:
        OpenSearchSettings()
    except ValidationError as error:
        raise UserError(f"a setting is wrong: {setting_faults(error, OpenSearchSettings)}") from None
    try:
        MongoSettings()
    except ValidationError as error:
        raise UserError(f"a setting is wrong: {setting_faults(error, MongoSettings)}") from None
    try:
        return ServeSettings()
    except ValidationError as error:
        raise UserError(f"a setting is wrong: {setting_faults(error, ServeSettings)}") from None
