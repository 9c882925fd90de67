import { isTopicFilter } from '#protocols/topics.js';
import type { Config } from '../config.ts';
import { parseNetwork } from './network.ts';

/** What must hold between options. Returns one line for each contradiction. */
export function checkTogether(config: Config): string[] {
  const { limits } = config;
  const problems: string[] = [];
  const mustHold = (holds: boolean, text: string) => {
    if (!holds) problems.push(text);
  };
  mustHold(
    (config.tlsCert === null) === (config.tlsKey === null),
    'tlsCert and tlsKey go together: give both, or none for ws and http',
  );
  for (const key of ['mqttsPort', 'stompsPort'] as const) {
    const holds = config[key] === null || config.tlsCert !== null;
    mustHold(holds, `${key} needs a certificate: give tlsCert and tlsKey`);
  }
  const { port, mqttPort, mqttsPort, stompPort, stompsPort } = config;
  const ports = [port, mqttPort, mqttsPort, stompPort, stompsPort].filter((one) => one !== null && one !== 0);
  mustHold(new Set(ports).size === ports.length, 'port, mqttPort, mqttsPort, stompPort and stompsPort must differ');
  const unknown = config.trustedProxies.filter((text) => parseNetwork(text) === null);
  mustHold(
    unknown.length === 0,
    `trustedProxies: ${unknown.join(', ')} is neither an address nor a network (10.0.0.0/8)`,
  );
  mustHold(
    !config.proxyProtocol || config.trustedProxies.length > 0,
    'proxyProtocol needs trustedProxies: a header is believed from nobody else',
  );
  for (const key of ['denySubscribe', 'devicePublish', 'deviceSubscribe'] as const) {
    const wrong = config[key].filter((filter) => !isTopicFilter(filter));
    mustHold(
      wrong.length === 0,
      `${key}: ${wrong.join(', ')} is no topic filter: + stands alone in a level, # in the last`,
    );
  }
  mustHold(
    config.paths.length > 0 && config.paths.every((path) => path.startsWith('/')),
    'paths: at least one, and each begins with /',
  );
  mustHold(
    config.outboxLowWaterBytes < config.outboxHighWaterBytes && config.outboxHighWaterBytes <= config.outboxMaxBytes,
    'outboxLowWaterBytes must be below outboxHighWaterBytes, and that not above outboxMaxBytes',
  );
  mustHold(config.backlogLowRows < config.backlogHighRows, 'backlogLowRows must be below backlogHighRows');
  mustHold(config.backlogLowBytes < config.backlogHighBytes, 'backlogLowBytes must be below backlogHighBytes');
  mustHold(config.routerLowMessages < config.routerHighMessages, 'routerLowMessages must be below routerHighMessages');
  mustHold(
    limits.maxMessageBytes <= config.maxWebSocketMessageBytes,
    'maxWebSocketMessageBytes must hold a message of limits.maxMessageBytes',
  );
  mustHold(
    limits.maxMessageBytes <= config.outboxMaxBytes,
    'outboxMaxBytes must hold a message of limits.maxMessageBytes, or it could never be delivered',
  );
  mustHold(
    limits.maxUnidentifiedBytes <= limits.maxMessageBytes,
    'limits.maxUnidentifiedBytes must not be above limits.maxMessageBytes',
  );
  mustHold(config.rejectedPerDevice <= config.rejectedInAll, 'rejectedPerDevice must not be above rejectedInAll');
  return problems;
}
