"""Paho over a WebSocket, led by instructions: one JSON object a line on stdin, what happens as one a line on stdout.

Usage: client.py PORT PATH CLIENT_ID PASSWORD mqtt|mqttv3.1 CLEAN(0|1)
"""

import json
import sys

import paho.mqtt.client as mqtt

_, port, path, client_id, password, protocol, clean = sys.argv


def tell(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


client = mqtt.Client(
    client_id=client_id,
    clean_session=clean == "1",
    protocol=mqtt.MQTTv31 if protocol == "mqttv3.1" else mqtt.MQTTv311,
    transport="websockets",
)
client.ws_set_options(path=path, headers={"Sec-Websocket-Protocol": protocol})
client.username_pw_set("paho", password)
client.max_inflight_messages_set(100)
client.on_connect = lambda _c, _u, flags, rc: tell("connected", rc=rc, resumed=flags["session present"] == 1)
client.on_disconnect = lambda _c, _u, rc: tell("disconnected", rc=rc)
client.on_publish = lambda _c, _u, mid: tell("published", mid=mid)
client.on_subscribe = lambda _c, _u, mid, granted: tell("subscribed", granted=list(granted))
client.on_message = lambda _c, _u, message: tell(
    "message",
    topic=message.topic,
    payload=message.payload.decode("utf-8"),
    qos=message.qos,
    retain=bool(message.retain),
)

client.connect("127.0.0.1", int(port), keepalive=5)
client.loop_start()
for line in sys.stdin:
    todo = json.loads(line)
    if todo["do"] == "subscribe":
        client.subscribe(todo["filter"], todo["qos"])
    elif todo["do"] == "publish":
        client.publish(todo["topic"], todo["payload"], todo["qos"], todo.get("retain", False))
    elif todo["do"] == "disconnect":
        client.disconnect()
        break
client.loop_stop()
