import { registry } from '#protocols/registry.js';
import type { ProtocolFamily } from '#protocols/subprotocol.js';
import type { RefusalCode, RefusedHandshake } from './port.ts';

type Refused = Pick<RefusedHandshake, 'code' | 'offered' | 'detail'>;

/** What clients write when they mean a family. The version of MQTT is no part of the name: it stands in CONNECT. */
const LOOKS_LIKE: readonly (readonly [RegExp, Exclude<ProtocolFamily, 'echo'>])[] = [
  [/mqtt|paho/i, 'mqtt'],
  [/stomp/i, 'stomp'],
  [/cbor|muster|senml/i, 'cbor'],
];

const NAMES = new Map([...registry({ echo: false }).values()].map(({ family, names }) => [family, names[0]!]));
const SERVED = [...NAMES].map(([family, name]) => `\`${name}\` (${family.toUpperCase()})`).join(', ');

const ADVICE: Readonly<Record<RefusalCode, string | ((refused: Refused) => string)>> = {
  no_subprotocol:
    'Name the protocol in the handshake: `new WebSocket(url, "mqtt")` in JavaScript, `subprotocols=["mqtt"]` in Python’s websockets, ' +
    `\`wscat -s mqtt\`. Served are ${SERVED}. If the client does name one, a proxy in between drops \`Sec-WebSocket-Protocol\`.`,
  unknown_subprotocol: unknownName,
  malformed_subprotocol: ({ detail }) =>
    detail.includes('twice')
      ? 'Name each protocol once. Paho’s Python client writes the header by itself: leave it out of `ws_set_options(headers=…)`.'
      : 'Separate names by commas, and use no spaces, slashes or quotation marks inside a name. ' +
        `One name is enough: ${SERVED}.`,
  protocol_not_allowed:
    'Let the device speak a protocol that its policy allows, or change the policy: `PATCH /api/v1/devices/{id}` with `protocols`.',
  bad_credentials:
    'Give the device a valid token (`muster device token create ID` makes one). It goes into `Authorization: Bearer …`, into `?access_token=…`, ' +
    'or, with no credentials in the handshake, into the password of MQTT CONNECT or the passcode of STOMP.',
  credentials_contradict:
    'Send one credential: the `Authorization` header and `?access_token=` name different clients. Take one of them away.',
  device_disabled:
    'If it should be let in: `muster device enable ID`. If not, switch the client off; it goes on trying otherwise.',
  unknown_path: ({ detail }) =>
    `Change the path in the client’s URL. ${detail}. The path does not decide the protocol; \`--paths\` of the hub adds others.`,
  not_websocket:
    'Connect with a `ws://` or `wss://` URL and a WebSocket client (version 13). Behind a proxy, let it pass the upgrade on; nginx: ' +
    '`proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";`',
  origin_not_allowed:
    'The client is a page of another site. If it should be let in, add its origin to the hub: `--allowed-origins https://site.example`.',
  too_many_connections:
    'Nothing is wrong with the client: it should wait and try again, with pauses that grow and vary. If the fleet has outgrown the limit, raise `maxConnections`.',
  too_many_from_address:
    'Look for clients that open connections and never close them. Behind a proxy or a shared address, raise `maxConnectionsPerAddress`.',
  too_many_unidentified:
    'Clients open connections and do not send CONNECT or HELLO. If a whole fleet is coming back at once, it passes by itself; else raise `maxUnidentified`.',
  tls_failed:
    'Let the client speak TLS 1.2 or newer to this port, trust the authority that signed the hub’s certificate, and call the hub by a name that stands in it. Without TLS: the other port.',
  bad_proxy_header:
    'Let the proxy send version 2 of the PROXY protocol to this port (HAProxy: `send-proxy-v2`), or take it out of `trustedProxies`.',
  shutting_down: 'Nothing: the hub was being stopped, and clients come back by themselves.',
};

/**
 * What to change in the client, or in the hub, so that this handshake succeeds. For people; code stands between backticks.
 * Nothing that the client sent is in it but what `detail` already quotes.
 */
export function adviceFor(refused: Refused): string {
  const advice = ADVICE[refused.code];
  return typeof advice === 'string' ? advice : advice(refused);
}

function unknownName({ offered }: Refused): string {
  const text = offered ?? '';
  const family = LOOKS_LIKE.find(([pattern]) => pattern.test(text))?.[1];
  if (family === undefined) return `Offer a protocol that this hub serves: ${SERVED}.`;
  const offer = `Offer \`${NAMES.get(family) ?? family}\``;
  if (family === 'mqtt') return `${offer}. The version is no part of the name: the client says it in CONNECT.`;
  if (family === 'stomp')
    return `${offer}, or \`v11.stomp\` or \`v10.stomp\`: the name says the version, and CONNECT must accept it.`;
  return `${offer}: version 1 of Muster’s own protocol.`;
}
