"""What a store can answer besides data. Adapters raise these and nothing of their driver's own."""


class StoreError(Exception):
    """Base of all store faults."""


class StoreUnavailable(StoreError):
    """The store was not reached, or refused before running anything. Definite: nothing was written."""


class StoreMisconfigured(StoreUnavailable):
    """The setting is wrong: its server refuses the password, or is of no use. The text names the setting, in one line."""


class OutcomeUnknown(StoreError):
    """The statement was sent and no answer came: it may have been written, or may yet be.

    A journal's caller must fence with a higher epoch on a new connection before it reads again: a plain
    reload can read the past while the orphaned statement commits later.
    """


class WriteRefused(StoreError):
    """The store refused this data (SQLSTATE class 22 or 23). Definite: nothing of the call was written."""


class AlreadyExists(WriteRefused):
    """A row with this unique key is there already."""


class StaleVersion(WriteRefused):
    """The stored version is not the expected one."""


class TooLarge(WriteRefused):
    """A message is larger than its topic takes."""


class NotDelivered(Exception):
    """A message was not taken over. `permanent`: this message never will be; else it may be sent again later.

    The text says why, and repeats neither the message nor its recipient. `reply`: what the other side said, which may.
    """

    def __init__(self, reason: str, *, permanent: bool, reply: str = "") -> None:
        super().__init__(reason)
        self.permanent = permanent
        self.reply = reply
