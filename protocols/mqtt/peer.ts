import type { Level } from './packet.ts';

/** What a client said of itself in its CONNECT and the hub must keep to. In MQTT 3 nothing but the level is said. */
export interface Peer {
  readonly level: Level;
  /** Largest packet that it takes, in bytes [MQTT-3.1.2-24]; Infinity: any. */
  readonly maxPacketBytes: number;
  /** Most QoS 1 and 2 messages that may be under way to it [MQTT-3.3.4-9]. */
  readonly receiveMaximum: number;
  /** Topic aliases that it takes, 1 to this [MQTT-3.1.2-26]. */
  readonly topicAliasMaximum: number;
  /** It wants reason strings on acknowledgements [MQTT-3.1.2-29]. */
  readonly problemInformation: boolean;
}

/** Before it has said more than its level. */
export function unknownPeer(level: Level): Peer {
  return { level, maxPacketBytes: Infinity, receiveMaximum: 0xffff, topicAliasMaximum: 0, problemInformation: true };
}
