"""A compiler-made library under another SONAME."""

from __future__ import annotations

import struct

_PT_LOAD = 1
_PT_GNU_STACK = 0x6474E551
_PT_DYNAMIC = 2
_DT_STRTAB = 5
_DT_STRSZ = 10
_DT_SONAME = 14


def with_soname(data: bytes, soname: str) -> bytes:
    """Return the shared object `data` with another SONAME, everything else as it was.

    The string table is copied to the end of the file with the new name behind it, and the program header that
    only says how the stack is mapped becomes one that loads the copy. (System V gABI, chapters 4 and 5.)

    Args:
        data: little-endian, with a PT_GNU_STACK header and its string table in the first segment, address 0.
        soname: of any length.
    """
    wide = data[4] == 2
    phoff = struct.unpack_from("<Q" if wide else "<I", data, 32 if wide else 28)[0]
    size, count = struct.unpack_from("<HH", data, 54 if wide else 42)
    kinds = {struct.unpack_from("<I", data, phoff + n * size)[0]: phoff + n * size for n in reversed(range(count))}
    header = kinds[_PT_DYNAMIC]
    start, length = (
        struct.unpack_from("<QQQQ", data, header + 8)[::3]
        if wide
        else struct.unpack_from("<IIII", data, header + 4)[::3]
    )
    pair = struct.Struct("<qQ" if wide else "<iI")
    dynamic = list(pair.iter_unpack(data[start : start + length // pair.size * pair.size]))
    values = dict(dynamic)
    strings = data[values[_DT_STRTAB] : values[_DT_STRTAB] + values[_DT_STRSZ]]
    padded = data + bytes(-len(data) % 4096)
    address = 0x10000 + len(padded)
    new = strings + soname.encode() + b"\0"
    changed = {_DT_STRTAB: address, _DT_STRSZ: len(new), _DT_SONAME: len(strings)}
    image = bytearray(padded + new)
    for number, (tag, value) in enumerate(dynamic):
        pair.pack_into(image, start + number * pair.size, tag, changed.get(tag, value))
    if wide:
        load = struct.pack("<IIQQQQQQ", _PT_LOAD, 4, len(padded), address, address, len(new), len(new), 4096)
    else:
        load = struct.pack("<IIIIIIII", _PT_LOAD, len(padded), address, address, len(new), len(new), 4, 4096)
    image[kinds[_PT_GNU_STACK] : kinds[_PT_GNU_STACK] + size] = load
    return bytes(image)
