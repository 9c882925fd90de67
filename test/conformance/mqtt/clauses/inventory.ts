import type { Clause } from './clause.ts';
import { MQTT_3_BEHAVIOUR } from './mqtt-3-behaviour.ts';
import { MQTT_3_PACKETS } from './mqtt-3-packets.ts';
import { MQTT_5_BEHAVIOUR } from './mqtt-5-behaviour.ts';
import { MQTT_5_CONNECT } from './mqtt-5-connect.ts';
import { MQTT_5_PUBLISH } from './mqtt-5-publish.ts';
import { MQTT_5_SUBSCRIBE } from './mqtt-5-subscribe.ts';

export type Version = '3.1.1' | '5.0';

/** Every mandatory normative statement, in the order of the standards. */
export const INVENTORY: Readonly<Record<Version, readonly Clause[]>> = {
  '3.1.1': [...MQTT_3_PACKETS, ...MQTT_3_BEHAVIOUR],
  '5.0': [...MQTT_5_CONNECT, ...MQTT_5_PUBLISH, ...MQTT_5_SUBSCRIBE, ...MQTT_5_BEHAVIOUR],
};
