import type { Config } from '../config.ts';

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
