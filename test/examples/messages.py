"""Makes and reads the vectors with the code of examples/python. Usage: messages.py FOLDER-OF-EXAMPLES DEVICE-TO-HUB HUB-TO-DEVICE...

Prints a JSON object: "made" are bytes in hexadecimal by the name of the vector, "read" what its bytes say, or "refused"; "heard" the
same for each line of hexadecimal on standard input, its type alone.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
import device
from muster_cbor import decode, encode


def record(reading, base_us):
    label = {bool: device.BOOL_VALUE, str: device.TEXT_VALUE}.get(type(reading["value"]), device.VALUE)
    distance = {} if reading["timeUs"] == base_us else {6: (reading["timeUs"] - base_us) / 1e6}
    unit = {device.UNIT: reading["unit"]} if "unit" in reading else {}
    return {**distance, device.NAME: reading["metric"], **unit, label: reading["value"]}


def data(readings):
    """The example itself sends what was measured at one time; other packs are put together here."""
    times = {reading["timeUs"] for reading in readings}
    base_us = readings[0]["timeUs"]
    if len(times) == 1:
        units = {reading["metric"]: reading["unit"] for reading in readings if "unit" in reading}
        values = {reading["metric"]: reading["value"] for reading in readings}
        return device.records(None if base_us is None else base_us / 1e6, values, units)
    pack = [record(reading, base_us) for reading in readings]
    return [{device.BASE_TIME: base_us / 1e6, **pack[0]}, *pack[1:]]


def made(m):
    if m["type"] == "hello":
        return encode([device.HELLO, {key: m[key] for key in ("stream", "next", "token", "id", "firmware") if key in m}])
    if m["type"] == "received":
        return encode([device.RECEIVED, m["commandId"]])
    if m["type"] == "result":
        return encode([device.RESULT, m["commandId"], m["status"], m["value"]])
    queue = device.Queue(None)
    queue.first = m["seq"]
    if m["type"] == "data":
        queue.push(device.DATA, data(m["readings"]))
    else:
        queue.push(device.EVENT, m["name"], m["value"])
    return queue.message(m["seq"])


def read(data):
    try:
        return device.Device.read(data)
    except ValueError:
        return "refused"


def vectors(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)["vectors"]


print(
    json.dumps(
        {
            "made": {v["name"]: made(v["meaning"]).hex() for v in vectors(sys.argv[2]) if v.get("encodes", True)},
            "read": {v["name"]: read(bytes.fromhex(v["hex"])) for path in sys.argv[3:] for v in vectors(path)},
            "heard": [message if message == "refused" else message[0] for message in map(read, map(bytes.fromhex, sys.stdin))],
        }
    )
)
