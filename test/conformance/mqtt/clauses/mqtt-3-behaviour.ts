import { both, client, server, type Clause } from '../../clauses/clause.ts';

/** MQTT 3.1.1, chapters 4 to 7. */
export const MQTT_3_BEHAVIOUR: readonly Clause[] = [
  both('4.1.0-1', 'session state is kept as long as the session'),
  both('4.1.0-2', 'a session lasts at least as long as its connection'),
  both('4.3.1-1', 'QoS 0 goes out with DUP 0'),
  both('4.3.2-1', 'QoS 1, sender: a free packet id, DUP 0, unacknowledged until PUBACK'),
  both('4.3.2-2', 'QoS 1, receiver: PUBACK with the packet id, which is then free for a new message'),
  both('4.3.3-1', 'QoS 2, sender: PUBLISH until PUBREC, then PUBREL until PUBCOMP, and never PUBLISH after PUBREL'),
  both(
    '4.3.3-2',
    'QoS 2, receiver: PUBREC for each repeat and one delivery, PUBCOMP for PUBREL, then the packet id is free',
  ),
  both(
    '4.4.0-1',
    'on return without clean session, unacknowledged PUBLISH and PUBREL are sent again with their packet ids',
  ),
  server('4.5.0-1', 'a message that was taken is added to each session with a subscription that matches'),
  client('4.5.0-2', 'each PUBLISH is acknowledged as its QoS says, wanted or not'),
  both('4.6.0-1', 'what is sent again keeps its order'),
  both('4.6.0-2', 'PUBACK comes in the order of PUBLISH'),
  both('4.6.0-3', 'PUBREC comes in the order of PUBLISH'),
  both('4.6.0-4', 'PUBREL comes in the order of PUBREC'),
  server('4.6.0-5', 'each topic is ordered unless configured otherwise'),
  server('4.6.0-6', 'messages of an ordered topic reach each subscriber in the order in which a client sent them'),
  both('4.7.1-1', 'wildcards stand in filters, never in topic names'),
  client('4.7.1-2', '# stands alone or behind a separator, and last'),
  client('4.7.1-3', '+ stands for a whole level'),
  server('4.7.2-1', 'filters that begin with a wildcard do not match topics that begin with $'),
  both('4.7.3-1', 'topic names and filters have at least one character'),
  both('4.7.3-2', 'topic names and filters have no U+0000'),
  both('4.7.3-3', 'topic names and filters are at most 65,535 bytes'),
  server('4.7.3-4', 'matching changes and substitutes nothing'),
  both('4.8.0-1', 'a violation of the protocol closes the connection'),
  both('4.8.0-2', 'a transient error while a packet is processed closes its connection', {
    tests: ['integration/faults-disk.test.ts: a pause has a limit: then the connection is closed as overloaded'],
  }),
  both('6.0.0-1', 'packets travel in binary WebSocket messages; another kind closes'),
  both('6.0.0-2', 'packets need not be aligned with WebSocket frames'),
  client('6.0.0-3', 'the client offers mqtt as a subprotocol'),
  server('6.0.0-4', 'the server answers with the subprotocol mqtt'),
  server('7.0.0-1', 'a server that connects to other servers conforms as a client as well', {
    reason: 'the hub connects to no other server',
  }),
  both('7.0.0-2', 'no extension is required to work with others', {
    tests: [
      'integration/clients-mqtt5.test.ts: carries messages of every QoS, each once and in order',
      'integration/clients-paho.test.ts: publishes QoS 1 as %s, and nothing of it is lost',
    ],
  }),
  server('7.1.1-1', 'a transport with an ordered, lossless stream in both directions is served', {
    tests: ['integration/listeners.test.ts: takes readings, and talks to clients of the one port'],
  }),
  client('7.1.2-1', 'the same for a client'),
];
