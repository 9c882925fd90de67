import type { Pending } from '#protocols/outcome.js';
import type { PublishRequest, Will } from '#protocols/subprotocol.js';
import type { Log } from '#hub/observe/log.js';
import type { PublishWill } from '#hub/sessions/wills.js';
import { Inbound, type InboundServices } from './inbound.ts';

/**
 * Publishes wills as if their clients had sent them: on a topic with a meaning they are readings, events and results. What is refused
 * stands in the device's rejected list.
 */
export function willPublisher(services: InboundServices, log: Log): PublishWill {
  return ({ key, principal, protocol, will }, gone) => {
    // Rules of a token are checked when the will is taken: at its end they may not be known any more.
    const sender = { principal, rules: null, protocol, origin: key, refusesSingly: true };
    const inbound = new Inbound(services, sender, (piece) => {
      try {
        piece();
      } catch (error) {
        log.error({ session: key, err: error }, 'fault in a will');
      }
    });
    let written = false;
    const along = (): void => {
      written = true;
      gone();
    };
    const pending: Pending = {
      settle(outcome) {
        if (!written && outcome.kind !== 'abandoned') along();
      },
    };
    inbound.publishFor(requestOf(will, services.clock.now()), pending, along);
  };
}

function requestOf({ request, expiryS }: Will, nowMs: number): PublishRequest {
  if (expiryS === null) return request;
  return { ...request, properties: { ...request.properties, expiresMs: nowMs + expiryS * 1000 } };
}
