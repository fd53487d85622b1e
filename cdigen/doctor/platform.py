"""Whether cdigen knows the driver of the host's platform: where it does not, no other check can say anything right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.diagnosis import Diagnosis, pass_on
from cdigen.discover.platform import check_platform
from cdigen.errors import UnsupportedPlatformError
from cdigen.host import UNREADABLE

if TYPE_CHECKING:
    from cdigen.session.context import Context


def find_unsupported(context: Context) -> Diagnosis | None:
    """Return a problem if the host is of a kind that is not supported, which is all that there is to say of it."""
    try:
        check_platform(context.views)
    except UnsupportedPlatformError as error:
        return pass_on("platform", error.subject, "problem", error)
    except UNREADABLE:  # the scan meets it too
        return None
    return None
