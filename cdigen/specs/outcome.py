"""What became of a file that cdigen was to write or to remove."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cdigen.findings import NOTHING_TO_DO, Remedy, sentence
from cdigen.records import Record
from cdigen.report import remedy_to_json

if TYPE_CHECKING:
    from cdigen.errors import FileError

State = Literal["wrote", "unchanged", "removed", "would-remove", "absent", "left", "failed"]


class Outcome(Record):
    """What became of one file.

    Attributes:
        path: the file, or a directory that could not be looked through.
        state: "left" is a file that is not ours, is not known for ours or is not known to be wrong; "failed" one that
            could not be looked at or changed.
        message: one line for the user.
        remedy: what to do about it.
        level: the line's, as of `say`; "" for plain information.
        exit_code: 0, or that of the error for which it failed.
    """

    path: str
    state: State
    message: str
    remedy: Remedy = NOTHING_TO_DO
    level: Literal["", "note", "warning", "error"] = ""
    exit_code: int = 0

    @property
    def text(self) -> str:
        """The message and the remedy as one line."""
        return sentence(self.message, self.remedy)

    def to_json(self, key: str = "path", **more: object) -> dict[str, object]:
        """Return it as a JSON value, the path under `key`, with what more there is to say."""
        return {
            key: self.path,
            "state": self.state,
            **more,
            "message": self.message,
            "remedy": remedy_to_json(self.remedy),
        }


def failed(path: str, error: FileError) -> Outcome:
    """Return the outcome of a file for which there was an error."""
    return Outcome(
        path=path,
        state="failed",
        message=error.message,
        remedy=error.remedy,
        level="error",
        exit_code=error.exit_code,
    )
