"""Paho, led by instructions: one JSON object a line on stdin, what happens as one a line on stdout.

Usage: client.py OPTIONS, a JSON object: port, transport (websockets | tcp), path, version (3.1 | 3.1.1 | 5.0), clientId, password or
null, clean, expiryS, receiveMaximum or null, will or null ({topic, payload, qos, retain, delayS}).
"""

import json
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

options = json.loads(sys.argv[1])
VERSIONS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}
is5 = options["version"] == "5.0"


def tell(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


def code(value):
    """A return code of MQTT 3 is a number, a reason code of MQTT 5.0 an object."""
    return getattr(value, "value", value)


def properties_of(packet_type, values):
    if not is5 or not values:
        return None
    properties = Properties(packet_type)
    for name, value in values.items():
        setattr(properties, name, bytes(value, "utf-8") if name == "CorrelationData" else value)
    return properties


def told(message):
    """What a message of MQTT 5.0 says of itself."""
    properties = getattr(message, "properties", None)
    if properties is None:
        return {}
    names = ["ContentType", "ResponseTopic", "UserProperty", "SubscriptionIdentifier", "PayloadFormatIndicator"]
    found = {name: getattr(properties, name) for name in names if hasattr(properties, name)}
    if hasattr(properties, "CorrelationData"):
        found["CorrelationData"] = properties.CorrelationData.decode("utf-8")
    return found


client = mqtt.Client(
    client_id=options["clientId"],
    clean_session=None if is5 else options["clean"],
    protocol=VERSIONS[options["version"]],
    transport=options["transport"],
)
if options["transport"] == "websockets":
    name = "mqttv3.1" if options["version"] == "3.1" else "mqtt"
    client.ws_set_options(path=options["path"], headers={"Sec-Websocket-Protocol": name})
if options["password"] is not None:
    client.username_pw_set("paho", options["password"])
client.max_inflight_messages_set(40 if is5 else 100)
will = options["will"]
if will is not None:
    delay = properties_of(PacketTypes.WILLMESSAGE, {"WillDelayInterval": will["delayS"]})
    client.will_set(will["topic"], will["payload"], will["qos"], will["retain"], delay)
client.on_connect = lambda _c, _u, flags, rc, *_p: tell(
    "connected", rc=code(rc), resumed=flags["session present"] == 1
)
client.on_disconnect = lambda _c, _u, rc, *_p: tell("disconnected", rc=code(rc))
client.on_publish = lambda _c, _u, mid, *_p: tell("published", mid=mid)
client.on_subscribe = lambda _c, _u, mid, granted, *_p: tell("subscribed", granted=[code(each) for each in granted])
client.on_message = lambda _c, _u, message: tell(
    "message",
    topic=message.topic,
    payload=message.payload.decode("utf-8"),
    qos=message.qos,
    retain=bool(message.retain),
    properties=told(message),
)

address = {"host": "127.0.0.1", "port": options["port"], "keepalive": 5}
if is5:
    wanted = {"SessionExpiryInterval": options["expiryS"]}
    if options["receiveMaximum"] is not None:
        wanted["ReceiveMaximum"] = options["receiveMaximum"]
    client.connect(**address, clean_start=options["clean"], properties=properties_of(PacketTypes.CONNECT, wanted))
else:
    client.connect(**address)
client.loop_start()
for line in sys.stdin:
    todo = json.loads(line)
    if todo["do"] == "subscribe":
        if is5:
            choice = SubscribeOptions(qos=todo["qos"], noLocal=todo.get("noLocal", False))
            identifier = properties_of(PacketTypes.SUBSCRIBE, todo.get("properties"))
            client.subscribe(todo["filter"], options=choice, properties=identifier)
        else:
            client.subscribe(todo["filter"], todo["qos"])
    elif todo["do"] == "publish":
        said = properties_of(PacketTypes.PUBLISH, todo.get("properties"))
        client.publish(todo["topic"], todo["payload"], todo["qos"], todo.get("retain", False), said)
    elif todo["do"] == "disconnect":
        client.disconnect()
        break
client.loop_stop()
