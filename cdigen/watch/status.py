"""How things stand with the spec that `cdigen watch` keeps, in a file for the programs beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from cdigen.errors import CdigenError, NoDriverError, ParseError, one_line
from cdigen.parse.text import decode_json
from cdigen.read import read_input
from cdigen.records import Record, to_dict
from cdigen.write import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["true", "idle", "blocked"]


class Status(Record):
    """What the last run of `cdigen generate` came to.

    Attributes:
        state: "true" if the spec is what the host has; "idle" if there is no driver, so nothing to do; "blocked" if the
            spec could not be written, so that the one that is there may not be true any more.
        code: the code of the error; "" if there is none.
        message: the error in words; one line.
    """

    state: State
    code: str = ""
    message: str = ""


def judge_run(exit_code: int, report: Mapping[str, object]) -> Status:
    """Return what a run of `cdigen generate --json` came to.

    Args:
        exit_code: its exit code.
        report: its report.
    """
    if exit_code == 0:
        return Status(state="true")
    error = report.get("error")
    fields = error if isinstance(error, dict) else {}
    return Status(
        state="idle" if exit_code == NoDriverError.exit_code else "blocked",
        code=one_line(str(fields.get("code") or "failed")),
        message=one_line(str(fields.get("message") or f"cdigen generate ended with exit code {exit_code}")),
    )


def write_status(path: str, status: Status) -> None:
    """Write the file, whole or not at all; raises FileError if that cannot be done."""
    import json

    write_file(path, f"{json.dumps(to_dict(status))}\n".encode())


def parse_status(data: bytes) -> Status:
    """Return what the content of the file says.

    Raises:
        ParseError: it is no such file.
    """
    found = decode_json(data)
    if not isinstance(found, dict) or found.get("state") not in get_args(State):
        raise ParseError("not the status of cdigen watch")
    code, message = (one_line(str(found.get(key, ""))) for key in ("code", "message"))
    return Status(state=found["state"], code=code, message=message)


def read_status(path: str) -> Status:
    """Return what the file says; blocked if that cannot be read, or `cdigen watch` has not written it yet."""
    try:
        return parse_status(read_input(path))
    except CdigenError as error:
        return Status(state="blocked", code="no-status", message=f"{one_line(path)} does not tell: {error.message}")
