"""What is said to a user, as fields: what is the case, about what, and what to do about it.

Nothing reads a message that code has written: who needs to know what a finding or an error is about asks for its `code`
or its `subject`, and who shows it puts the fields together with `sentence`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from cdigen.records import Record

Level = Literal["error", "warning", "note"]


class Remedy(NamedTuple):
    """What to do.

    Attributes:
        hint: in words, a clause without a full stop; "" where the commands speak for themselves.
        commands: shell commands to run in this order, each valid by itself when pasted.
    """

    hint: str = ""
    commands: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.hint or self.commands)

    def __str__(self) -> str:
        """Return it as the end of a line, such as "rebuild it with: ldconfig"."""
        return ": ".join(filter(None, (self.hint, " && ".join(self.commands))))


NOTHING_TO_DO = Remedy()


def sentence(message: str, remedy: Remedy) -> str:
    """Return a message and what to do about it as one line."""
    return f"{message}; {remedy}" if remedy else message


class Finding(Record):
    """Something that a user should know, though the run goes on, or that may be the cause of an error.

    Attributes:
        level: "warning" if a container may miss something, "note" if it is only worth knowing; "error" for a part of
            what an error is about.
        code: a stable identifier in kebab case, for programs that read `--json`.
        subject: the path or the name that it is about.
        message: what is the case; one line.
        remedy: what to do.
    """

    level: Level
    code: str
    subject: str
    message: str
    remedy: Remedy = NOTHING_TO_DO

    @property
    def text(self) -> str:
        """The message and the remedy as one line."""
        return sentence(self.message, self.remedy)
