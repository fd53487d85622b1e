"""The files of an image, merged from its layers, and seen as a host is seen.

Sources: the OCI image specification, layer.md ("Applying Changesets", "Whiteouts"); where it is silent, containerd's
way: the directory of an entry is found by following links as in a chroot, a directory takes the place of a link
and a link that of a directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdigen.errors import ParseError, one_line
from cdigen.host import Entry, Host, HostReadError
from cdigen.host.host import matching
from cdigen.host.view import MAX_LINKS
from cdigen.image.limits import MAX_DEPTH, MAX_ENTRIES, STEPS, STEPS_PER_ENTRY
from cdigen.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cdigen.host.host import Kind
    from cdigen.parse.elf import ElfFacts
    from cdigen.parse.ldcache import CacheEntry

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_TOO_MANY_STEPS = "directories and links that take more steps to follow than those of any image"


class Change(Record, kw_only=False):
    """An entry of a layer.

    Attributes:
        path: below the root, without empty parts, "." and "..".
        kind: the file type.
        size: the bytes of content.
        target: of a symbolic link its text, of a hard link the path that it names, as `path`.
        is_hard_link: whether it is another name of `target`.
        content: of a file that is looked at, what is in it.
    """

    path: str
    kind: Kind
    size: int = 0
    target: str = ""
    is_hard_link: bool = False
    content: bytes | None = None


class Node:
    """A file or directory of the merged tree.

    Attributes:
        kind, size, target, content: as of a `Change`.
        layer: the position of the layer that it comes from.
        children: of a directory, what is in it; else None.
    """

    __slots__ = ("children", "content", "kind", "layer", "size", "target")

    def __init__(self, kind: Kind, layer: int, size: int = 0, target: str = "", content: bytes | None = None) -> None:
        self.kind = kind
        self.layer = layer
        self.size = size
        self.target = target
        self.content = content
        self.children: dict[str, Node] | None = {} if kind == "dir" else None


class Tree(Host):
    """The merged files, asked as a host is asked. Paths are absolute and free of links but for the last part."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        """Begin with an empty root that takes `max_entries` changes."""
        self._root = Node("dir", 0)
        self._max_entries = max_entries
        self._counted = 0
        self._steps = STEPS
        self._parent: tuple[str, Node] | None = None  # of the last entry: the next is mostly beside it

    def apply(self, changes: Iterable[Change], layer: int, *, has_whiteouts: bool = True) -> None:
        """Put a layer on top of what is there.

        Args:
            changes: its entries in their order.
            layer: its position.
            has_whiteouts: whether names that begin with ".wh." are whiteouts; else they are names as others are.

        Raises:
            ParseError: a hard link to nothing, a cycle of links, or more than an image may have.
        """
        changes = tuple(changes)
        # A whiteout hides what lower layers have, wherever in its own layer it stands.
        directories = {change.path for change in changes if change.kind == "dir"}
        for change in changes:
            self._count()
            parent, _, name = change.path.rpartition("/")
            if has_whiteouts and name.startswith(_WHITEOUT):
                self._hide(parent, name, directories)
        self._parent = None
        for change in changes:
            is_whiteout = has_whiteouts and change.path.rpartition("/")[2].startswith(_WHITEOUT)
            if change.path and not is_whiteout:
                self._add(change, layer)

    def _hide(self, parent: str, name: str, directories: set[str]) -> None:
        directory = self._descend(parent, replaced=directories)
        if directory is None or directory.children is None:
            return
        if name == _OPAQUE:
            directory.children.clear()
        else:
            directory.children.pop(name.removeprefix(_WHITEOUT), None)

    def _add(self, change: Change, layer: int) -> None:
        parent, _, name = change.path.rpartition("/")
        if self._parent is None or self._parent[0] != parent:
            made = self._descend(parent, make_in=layer)
            assert made is not None  # noqa: S101 - for the type checker; it was made
            self._parent = parent, made
        directory = self._parent[1]
        assert directory.children is not None  # noqa: S101 - likewise
        if change.is_hard_link:
            node = self._linked(change, layer)
        else:
            node = Node(change.kind, layer, change.size, change.target, change.content)
        there = directory.children.get(name)
        if there is not None and there.children is not None and node.children is not None:
            there.layer = layer
            return
        if there is not None:  # to which the way may have led
            self._parent = None
        directory.children[name] = node

    def _linked(self, change: Change, layer: int) -> Node:
        parent, _, name = change.target.rpartition("/")
        directory = self._descend(parent)
        there = directory.children.get(name) if directory is not None and directory.children is not None else None
        if there is None or there.kind == "dir":
            what = "a directory" if there else "nothing"
            raise ParseError(f"/{one_line(change.path)} is a hard link to {what}, /{one_line(change.target)}")
        return Node(there.kind, layer, there.size, there.target, there.content)

    def _count(self) -> None:
        self._counted += 1
        self._steps += STEPS_PER_ENTRY
        if self._counted > self._max_entries:
            raise ParseError(f"more than {self._max_entries} files and directories")

    def _descend(
        self, path: str, *, make_in: int | None = None, replaced: set[str] | frozenset[str] = frozenset()
    ) -> Node | None:
        """Return the directory `path`, links followed as in a chroot; None if it is not there.

        Args:
            path: below the root.
            make_in: the layer that makes what is missing or no directory; None makes nothing.
            replaced: paths at which a link is not followed.
        """
        stack = [self._root]
        rest = path.split("/")[::-1]
        walked = ""  # only while no link has been followed
        links = 0
        self._steps -= len(rest)
        if self._steps < 0:
            raise ParseError(_TOO_MANY_STEPS)
        while rest:
            part = rest.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del stack[max(1, len(stack) - 1) :]
                continue
            walked = f"{walked}/{part}" if walked else part
            children = stack[-1].children
            assert children is not None  # noqa: S101 - for the type checker; only directories are on the stack
            node = children.get(part)
            if node is not None and node.kind == "link":
                links += 1
                if walked in replaced and not links > 1:
                    return None
                if links > MAX_LINKS:
                    raise ParseError(f"/{one_line(path)} leads through more than {MAX_LINKS} symbolic links")
                if node.target.startswith("/"):
                    del stack[1:]
                target = node.target.split("/")[::-1]
                self._steps -= len(target)
                if self._steps < 0:
                    raise ParseError(_TOO_MANY_STEPS)
                rest.extend(target)
                continue
            if node is None or node.children is None:
                if make_in is None:
                    return None
                self._count()
                node = children[part] = Node("dir", make_in)
            stack.append(node)
            if len(stack) > MAX_DEPTH:
                raise ParseError(f"directories more than {MAX_DEPTH} levels deep")
        return stack[-1]

    def node(self, path: str) -> Node | None:
        """Return what is at an absolute path, following no link; None if nothing is."""
        node: Node | None = self._root
        for part in path.split("/"):
            if part:
                node = node.children.get(part) if node is not None and node.children is not None else None
        return node

    def walk(self) -> Iterator[tuple[str, Node]]:
        """Return every path with what is there, but for the root itself, each directory's names sorted.

        Of a directory only the names are held, not the paths: those of a deep one with many would be far longer.
        """
        stack = [("", self._root.children or {}, sorted(self._root.children or (), reverse=True))]
        while stack:
            directory, children, names = stack[-1]
            if not names:
                stack.pop()
                continue
            name = names.pop()
            path, node = f"{directory}/{name}", children[name]
            yield path, node
            if node.children:
                stack.append((path, node.children, sorted(node.children, reverse=True)))

    def lstat(self, path: str) -> Entry | None:
        """Return what is at `path`."""
        node = self.node(path)
        return None if node is None else Entry(kind=node.kind, target=node.target if node.kind == "link" else "")

    def names(self, directory: str, prefixes: tuple[str, ...], suffix: str | None = None) -> tuple[str, ...]:
        """Return names in `directory`, as `Host.names` says."""
        node = self.node(directory)
        return matching(node.children or (), prefixes, suffix) if node is not None else ()

    def read(self, path: str) -> bytes:
        """Return the content of a file, if it is one of those that are looked at."""
        node = self.node(path)
        if node is None or node.content is None:
            raise HostReadError(path, "not a file whose content is looked at, or too large")
        return node.content

    def elf(self, path: str) -> ElfFacts:
        """Refuse: the content of programs and libraries is not kept."""
        raise HostReadError(path, "the content of programs and libraries is not looked at")

    def linker_cache(self, path: str, prefixes: tuple[str, ...]) -> tuple[CacheEntry, ...]:
        """Return entries of the linker's cache, as `Host.linker_cache` says."""
        from cdigen.parse.ldcache import parse_ldcache

        return tuple(entry for entry in parse_ldcache(self.read(path)) if entry.name.startswith(prefixes))
