"""Errors and warnings written for the person at the microscope.

Every error that a user can cause says, in one sentence, what could not be done and why, and in a
second one the way out: *Cannot ‹do what› because ‹name› is ‹found›, not ‹required›. ‹Way out.›*
"""

from __future__ import annotations

__all__ = [
    "DataError",
    "FileFormatError",
    "MissingExtraError",
    "PlkitError",
    "PlkitWarning",
    "RecipeError",
    "UnitsError",
]


class PlkitError(Exception):
    """Root of every error meant for the user.

    Parameters
    ----------
    action : str
        What could not be done, as the words after "Cannot".
    reason : str
        Why, as the words after "because". Name what was found and what is required.
    remedy : str, optional
        The way out, a whole sentence in the user's words or code.

    Examples
    --------
    >>> str(PlkitError("unmix", "'refs' has 1 component, not at least 2", "Add a reference."))
    "Cannot unmix because 'refs' has 1 component, not at least 2. Add a reference."
    """

    def __init__(self, action: str, reason: str, remedy: str = "") -> None:
        super().__init__(action, reason, remedy)
        self.action = action
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        """Return the sentence that the user reads."""
        sentence = f"Cannot {self.action} because {self.reason.rstrip('.')}."
        return f"{sentence} {self.remedy}".rstrip()


class FileFormatError(PlkitError, ValueError):
    """A file is missing, empty, truncated, or not what its reader expects."""


class DataError(PlkitError, ValueError):
    """A dataset or an argument has the wrong dims, shape, range or content."""


class UnitsError(DataError):
    """A quantity has no unit, or one that cannot be converted to the required one."""


class RecipeError(PlkitError, ValueError):
    """A study recipe (TOML) is faulty; the reason names the line and the allowed values."""


class MissingExtraError(PlkitError, ImportError):
    """An optional library is needed; the remedy names the extra that brings it."""


class PlkitWarning(UserWarning):
    """Something in the data makes the result less trustworthy than it looks."""
