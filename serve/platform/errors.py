"""What the user is told in one line."""


class UserError(Exception):
    """Something that the user can mend. Its message is one line without internals; the exit code is not 0."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code
