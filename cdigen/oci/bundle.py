"""The file of an OCI runtime configuration: opened once, and written where it was read.

A bundle can belong to a user whom root does not trust. He can change his own configuration at any time; what he must
not get is another's file read or written, or one of root's that he can write to.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from cdigen.errors import FileError, one_line
from cdigen.read import open_regular, read_descriptor, refusing_to_read
from cdigen.walk import Place, UnfitPathError, open_directory, open_place
from cdigen.write import FILE_MODE, READ_FLAGS, Owner, refusing, write_at

if TYPE_CHECKING:
    from contextlib import ExitStack

_NAME = "config.json"
"""In a bundle (OCI Runtime Specification, bundle.md)."""

_ACL = "system.posix_acl_access"


class _Rights(NamedTuple):
    """Who may do what with a file.

    Attributes:
        status: the file's.
        has_acl: whether it has an access control list, which a new file does not get.
    """

    status: os.stat_result
    has_acl: bool

    @classmethod
    def of(cls, fd: int) -> _Rights:
        try:
            has_acl = bool(os.getxattr(fd, _ACL))
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise
            has_acl = False
        return cls(os.fstat(fd), has_acl)

    def owner(self) -> Owner:
        """Return the owner of the file that takes its place, as far as this process may give it away."""
        uid, gid = os.geteuid(), os.getegid()
        if uid == 0:
            return Owner(self.status.st_uid, self.status.st_gid)
        return Owner(uid, self.status.st_gid if self.status.st_gid in os.getgroups() else gid)

    def mode(self, gid: int) -> int:
        """Return the mode of a file of group `gid` by which nobody may do more than with this one."""
        mode = stat.S_IMODE(self.status.st_mode)
        if self.status.st_uid != os.geteuid():
            mode &= ~0o022
        if self.status.st_gid != gid or self.has_acl:  # then the group's bits are the list's mask (acl(5))
            mode &= ~0o070
        return mode


class ConfigFile(NamedTuple):
    """A configuration that was read.

    Attributes:
        place: where it is; its directory stays open.
        data: the content, or as much as it takes for `parse_document` to say that it is too large.
    """

    place: Place
    data: bytes
    rights: _Rights

    def write(self, data: bytes) -> bool:
        """Make `data` the content, if it is still the file that was read.

        Returns:
            True if the file was changed.

        Raises:
            FileError: it is another by now, or cannot be written.
        """
        path = self.place.path
        with refusing("write", path):
            if not self._is_there():
                raise FileError(
                    f"cannot write {one_line(path)}: it was replaced after it was read",
                    hint="run this again",
                    subject=path,
                    code="replaced-meanwhile",
                )
            owner = self.rights.owner()
            return write_at(self.place, data, mode=self.rights.mode(owner.gid), owner=owner)

    def _is_there(self) -> bool:
        file, named = self.place.lstat(), os.stat(os.path.dirname(self.place.path) or ".")
        is_same = file is not None and os.path.samestat(file, self.rights.status)
        return is_same and os.path.samestat(named, os.stat(self.place.directory))


def open_config(config: str, stack: ExitStack) -> ConfigFile:
    """Read a configuration.

    Args:
        config: a bundle's directory, or the file. Links lead to the directory of either; the file itself is none.
        stack: what keeps the directory open.

    Raises:
        FileError: it cannot be read, or is no regular file.
    """
    with refusing_to_read(config):
        try:
            bundle = stack.enter_context(open_directory(config))
        except NotADirectoryError:
            place = stack.enter_context(open_place(config, follow=False))
        else:
            place = Place(bundle, _NAME, os.path.join(config, _NAME))
    with refusing_to_read(place.path):
        found = place.lstat()
        if found is not None and stat.S_ISLNK(found.st_mode):
            target = one_line(os.readlink(place.name, dir_fd=place.directory))
            raise UnfitPathError(f"it is a symbolic link to {target}", "name that file")
        fd = open_regular(place.name, directory=place.directory)
        try:
            return ConfigFile(place, read_descriptor(fd), _Rights.of(fd))
        finally:
            os.close(fd)


def write_elsewhere(path: str, data: bytes, source: ConfigFile | None) -> bool:
    """Write a configuration to a file other than its own.

    A file that stands there keeps its mode and owner; a new one is this process's, with the mode of the source.

    Args:
        path: the file.
        data: the content.
        source: where the configuration came from; None for standard input.

    Returns:
        True if the file was changed.

    Raises:
        FileError: it cannot be written.
    """
    with refusing("write", path), open_place(path, make=True) as place:
        standing = _rights_at(place)
        if standing is not None:
            owner = standing.owner()
            return write_at(place, data, mode=standing.mode(owner.gid), owner=owner)
        return write_at(place, data, mode=FILE_MODE if source is None else source.rights.mode(os.getegid()))


def _rights_at(place: Place) -> _Rights | None:
    """Return the rights of the file at a place; None if none is there."""
    found = place.lstat()
    if found is None or not stat.S_ISREG(found.st_mode):
        return None
    if place.is_strangers(found):
        raise UnfitPathError(
            f"it is a file of user {found.st_uid} in a directory that all may write to",
            "remove it, or choose another output file",
        )
    try:
        fd = os.open(place.name, READ_FLAGS, dir_fd=place.directory)
    except PermissionError:  # so it cannot be told
        return _Rights(found, has_acl=True)
    try:
        return _Rights.of(fd)
    finally:
        os.close(fd)
