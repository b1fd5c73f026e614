"""The settings as a command reads them: what is wrong with them is one line."""

from pydantic import ValidationError

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
        return ServeSettings()
    except ValidationError as error:
        raise UserError(f"a setting is wrong: {setting_faults(error, ServeSettings)}") from None
