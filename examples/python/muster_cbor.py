"""CBOR (RFC 8949), as much of it as protocols/cbor/SPEC.md, section 3, allows: definite lengths, no tags, 8 levels, numbers below 2^53."""

import math
import struct


def head(kind, number):
    for more, (size, form) in enumerate(((1, ">BB"), (2, ">BH"), (4, ">BI"), (8, ">BQ"))):
        if number < 24:
            return bytes([kind << 5 | number])
        if number < 1 << 8 * size:
            return struct.pack(form, kind << 5 | 24 + more, number)
    raise ValueError("a number past 64 bits")


def encode(value):
    """Whole numbers become integers: they take a quarter of the bytes."""
    if value is None or value is True or value is False:
        return {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
    if isinstance(value, float) and not (value.is_integer() and abs(value) < 2**53):
        return struct.pack(">Bd", 0xFB, value)
    if isinstance(value, (int, float)):
        value = int(value)
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(encode(k) + encode(v) for k, v in value.items())
    return head(4, len(value)) + b"".join(map(encode, value))


def decode(data):
    """One array, and nothing behind it. Raises ValueError for all that section 3 does not allow."""
    value, end = decode_item(data, 0, 1)
    if end != len(data) or not isinstance(value, list) or not value or not is_whole(value[0]):
        raise ValueError("not one array that begins with a type")
    return value


def decode_item(data, at, level):
    if at >= len(data) or level > 9:
        raise ValueError("cut short, or nested too deep")
    kind, info, at = data[at] >> 5, data[at] & 31, at + 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(info, 0)
    raw = data[at : at + size]
    if info > 27 or len(raw) < size:
        raise ValueError("an indefinite length, or cut short")
    number, at = int.from_bytes(raw, "big") if size else info, at + size
    if kind == 7:
        if info in (20, 21, 22):
            return {20: False, 21: True, 22: None}[info], at
        value = struct.unpack({2: ">e", 4: ">f", 8: ">d"}[size], raw)[0] if size > 1 else math.nan
        if not math.isfinite(value):
            raise ValueError("no finite number")
        return value, at
    if kind == 6 or number >= 2**53 or (kind > 1 and number > len(data) - at):
        raise ValueError("a tag, a number past 2^53, or a length past the end")
    if kind < 2:
        return (number if kind == 0 else -1 - number), at
    if kind < 4:
        text = data[at : at + number]
        if kind == 3 and text.startswith(b"\xef\xbb\xbf"):
            raise ValueError("a text that begins with U+FEFF")
        return (text.decode() if kind == 3 else text), at + number  # UnicodeDecodeError is a ValueError
    if level > 8:
        raise ValueError("nested too deep")
    items = []
    for _ in range(number * (kind - 3)):
        item, at = decode_item(data, at, level + 1)
        items.append(item)
    if kind == 4:
        return items, at
    keys = items[::2]
    if any(type(k) not in (int, str) for k in keys) or len(set(keys)) != len(keys):
        raise ValueError("map keys are texts or integers, none twice")
    return dict(zip(keys, items[1::2])), at


def is_whole(value, least=0):
    return type(value) in (int, float) and value == int(value) and value >= least
