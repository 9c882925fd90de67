import mqtt, { type IClientOptions, type IConnackPacket, type MqttClient } from 'mqtt';
import { until, type TestHub } from '../../support/hub.ts';
import { afterThisTest } from './opened.ts';

export interface MqttReceived {
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
}

/** MQTT.js over a WebSocket, with what it receives in a list from the first byte on. */
export class MqttPeer {
  readonly client: MqttClient;
  readonly received: MqttReceived[] = [];
  connack: IConnackPacket | null = null;
  closed = false;
  error: (Error & { code?: number }) | null = null;

  constructor(url: string, options: IClientOptions) {
    this.client = mqtt.connect(url, {
      protocolVersion: 4,
      reconnectPeriod: 0,
      connectTimeout: 5000,
      ...options,
    });
    this.client.on('connect', (packet) => (this.connack = packet));
    this.client.on('close', () => (this.closed = true));
    this.client.on('error', (error) => (this.error = error));
    this.client.on('message', (topic, payload, { qos, retain }) => {
      this.received.push({ topic, payload: payload.toString(), qos, retain });
    });
    afterThisTest(() => this.client.endAsync(true));
  }

  get payloads(): string[] {
    return this.received.map(({ payload }) => payload);
  }

  async subscribe(filter: string, qos: 0 | 1 | 2 = 1): Promise<number> {
    const granted = await this.client.subscribeAsync(filter, { qos });
    return granted[0]!.qos;
  }

  /** Resolves with QoS 1 after PUBACK. */
  async publish(topic: string, payload: unknown, qos: 0 | 1 = 1, retain = false): Promise<void> {
    const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
    await this.client.publishAsync(topic, text, { qos, retain });
  }

  /** The network goes, without a DISCONNECT. */
  cut(): void {
    this.client.stream.destroy();
  }

  async gets(count: number, what = 'messages'): Promise<MqttReceived[]> {
    await until(`${count} ${what}`, () => this.received.length >= count);
    return this.received;
  }
}

/** Connects and waits for CONNACK. Rejects with what the client reports when it is refused. */
export async function mqttConnect(url: string, options: IClientOptions): Promise<MqttPeer> {
  const peer = new MqttPeer(url, options);
  await until('CONNACK or a refusal', () => peer.connack !== null || peer.error !== null || peer.closed);
  if (peer.connack === null) throw peer.error ?? new Error('closed without a CONNACK');
  return peer;
}

/** A device by its token, which stands in the password; the user name is a label. */
export function mqttDevice(hub: TestHub, token: string, options: IClientOptions = {}): Promise<MqttPeer> {
  return mqttConnect(`${hub.wsUrl}/mqtt`, { username: 'device', password: token, ...options });
}

/** An application by the API token. */
export function mqttApplication(hub: TestHub, clientId: string, options: IClientOptions = {}): Promise<MqttPeer> {
  return mqttConnect(`${hub.wsUrl}/mqtt`, { clientId, username: 'app', password: hub.token, ...options });
}
