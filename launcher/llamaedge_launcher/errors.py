"""What ends the program with one line for a person."""


class LauncherError(Exception):
    """Something the user can put right; ``exit_code`` is 2 for wrong usage, else 1."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
