import type { Standard } from '../../clauses/standard.ts';
import { MQTT_3_BEHAVIOUR } from './mqtt-3-behaviour.ts';
import { MQTT_3_PACKETS } from './mqtt-3-packets.ts';
import { MQTT_5_BEHAVIOUR } from './mqtt-5-behaviour.ts';
import { MQTT_5_CONNECT } from './mqtt-5-connect.ts';
import { MQTT_5_PUBLISH } from './mqtt-5-publish.ts';
import { MQTT_5_SUBSCRIBE } from './mqtt-5-subscribe.ts';

const HOME = 'conformance/mqtt/';

const CHAPTERS = {
  '1.': 'Data representations',
  '2.': 'Control packet format',
  '3.1.': 'CONNECT',
  '3.2.': 'CONNACK',
  '3.3.': 'PUBLISH',
  '3.': 'Other control packets',
  '4.': 'Operational behaviour',
  '6.': 'WebSocket',
  '7.': 'Conformance',
} as const;

/** Every mandatory normative statement of both versions. */
export const MQTT: Standard = {
  file: 'mqtt-conformance.md',
  home: HOME,
  head: `# Conformance to MQTT

Every mandatory normative statement of MQTT 3.1.1 and 5.0 (OASIS), in words of our own, whose duty it is, and the tests that
show it. Where there is no test, the reason stands instead. Duties of clients have a test where a server has to answer a client
that neglects them.

The numbers are those of the standards without \`MQTT-\`. Paths are under \`test/\`, names without a folder under
\`test/${HOME}\`: those tests send raw packets to a real hub over TCP and over WebSocket, each sequence with whole packets, byte
by byte, and with five packets in one write.

Made by \`npm run conformance\` from \`test/${HOME}clauses/\` and from the tags in test names, such as
\`[3.1.1: 3.1.0-2] [5.0: 3.1.0-2]\`; a test fails when this page differs, when a tag or a name leads nowhere, and when a duty of
servers has neither test nor reason.
`,
  parts: [
    {
      version: '3.1.1',
      heading: 'MQTT 3.1.1',
      chapters: CHAPTERS,
      clauses: [...MQTT_3_PACKETS, ...MQTT_3_BEHAVIOUR],
    },
    {
      version: '5.0',
      heading: 'MQTT 5.0',
      chapters: CHAPTERS,
      clauses: [...MQTT_5_CONNECT, ...MQTT_5_PUBLISH, ...MQTT_5_SUBSCRIBE, ...MQTT_5_BEHAVIOUR],
    },
  ],
};
