import type { IncomingMessage } from 'node:http';
import { HttpSession, httpSubprotocol, type HttpSubprotocol, type PollTerms } from '#protocols/http/session.js';
import type { Connection } from '../connection.ts';
import type { WebSocketGateway } from '../gateway.ts';
import { Admission } from '../admission.ts';
import type { BacklogGate } from '../backlog-gate.ts';
import { readHandshake, type Handshake } from '../handshake.ts';
import { REFUSAL_STATUS } from '../refusal.ts';
import type { RefusalCode } from '../port.ts';
import type { Services } from '../services.ts';
import { TrustedProxies } from '../trusted-proxies.ts';
import { DeviceRates } from './device-rates.ts';
import { DeviceVisit } from './device-visit.ts';
import type { HttpDeviceLimits } from './limits.ts';
import { PollTransport } from './poll-transport.ts';
import { DeviceRefusal, type HttpDevices, type OpenPoll, type PollAnswer, type Visit } from './port.ts';
import { whoAsks, type Asking } from './who.ts';

/** A device's connection, for as long as it polls. */
interface Polling {
  readonly connection: Connection;
  readonly session: HttpSession;
  readonly transport: PollTransport;
  readonly keyIds: readonly string[];
}

/** What a visit needs of all of them. */
export interface DeviceConnections {
  poll(asking: Asking, handshake: Handshake, terms: PollTerms, answer: PollAnswer): OpenPoll;
  /** The device's connection, if it polls. */
  of(device: string): Pick<Polling, 'connection' | 'session' | 'transport'> | null;
}

/**
 * Devices over HTTP: each request is a visit; the polls of one device are its connection, with an epoch, presence and commands as any
 * other has.
 */
export class HttpDeviceGateway implements HttpDevices, DeviceConnections {
  readonly #services: Services;
  readonly #gateway: WebSocketGateway;
  readonly #gate: BacklogGate;
  readonly #limits: HttpDeviceLimits;
  readonly #proxies: TrustedProxies;
  readonly #rates: DeviceRates;
  readonly #subprotocol: HttpSubprotocol;
  /** Requests that have not been answered; polls are counted by their connections. As many as there may be connections. */
  readonly #inHand: Admission;
  readonly #polling = new Map<string, Polling>();

  constructor(services: Services, gateway: WebSocketGateway, gate: BacklogGate, limits: HttpDeviceLimits) {
    const { trustedProxies, maxMessagesPerSecond, httpGraceMs } = services.options;
    this.#services = services;
    this.#gateway = gateway;
    this.#gate = gate;
    this.#limits = limits;
    this.#proxies = new TrustedProxies(trustedProxies);
    this.#rates = new DeviceRates(maxMessagesPerSecond, limits.countedDevices);
    this.#inHand = new Admission(services.options);
    this.#subprotocol = httpSubprotocol(httpGraceMs);
  }

  visit(request: IncomingMessage): Visit {
    const handshake = readHandshake(request, this.#proxies, false);
    const asking = this.#admit(request, handshake);
    const waitMs = Math.min(this.#limits.waitMs, this.#services.options.pauseLimitMs);
    const parts = { services: this.#services, gate: this.#gate, waitMs, connections: this };
    const { address } = handshake;
    this.#inHand.enter(address);
    this.#inHand.identified();
    return new DeviceVisit(parts, asking, handshake, () => this.#inHand.leave(address, true));
  }

  of(device: string): Polling | null {
    const polling = this.#polling.get(device);
    return polling?.connection.open === true ? polling : null;
  }

  poll(asking: Asking, handshake: Handshake, terms: PollTerms, answer: PollAnswer): OpenPoll {
    const { session, transport, connection } = this.#connectionFor(asking, handshake);
    connection.count(0);
    transport.add(answer);
    let poll = null as ReturnType<HttpSession['poll']> | null;
    connection.run(() => {
      poll = session.poll(terms);
    });
    const leave = (): void => {
      if (poll !== null && connection.open) connection.run(() => session.leave(poll!));
    };
    return {
      finish: leave,
      drained: () => transport.drained(),
      closed: () => {
        // First, or what has drained by this would bring a command to a poll that is gone.
        leave();
        transport.closed(answer);
      },
    };
  }

  /** Its own, unless that was opened with another token: then what becomes of the one token would be done to the other. */
  #connectionFor(asking: Asking, handshake: Handshake): Polling {
    const device = asking.principal.id;
    const present = this.of(device);
    if (present !== null && sameAs(present.keyIds, asking.keyIds)) return present;
    const full = this.#gateway.room(handshake.address);
    if (full !== null) {
      const refusal = new DeviceRefusal(full, 'try again later');
      this.#note(handshake, refusal);
      throw refusal;
    }
    const transport = new PollTransport(() => {
      if (this.#polling.get(device) === polling) this.#polling.delete(device);
      this.#gateway.goneFrom(connection);
    });
    const { principal, keyIds } = asking;
    const { address, path } = handshake;
    const connection: Connection = this.#gateway.beginWithoutSocket(transport, {
      address,
      path,
      name: this.#subprotocol.names[0]!,
      subprotocol: this.#subprotocol,
      principal,
      keyIds,
    });
    const { session } = connection;
    if (!(session instanceof HttpSession)) throw new Error('this is no session of the HTTP subprotocol');
    const polling = { connection, session, transport, keyIds };
    this.#polling.set(device, polling);
    return polling;
  }

  #admit(request: IncomingMessage, handshake: Handshake): Asking {
    const { identity, devices, options, clock } = this.#services;
    try {
      const full = this.#inHand.check(handshake.address);
      if (full !== null) throw new DeviceRefusal(full, 'try again later');
      const header = request.headers['muster-device'];
      const named = typeof header === 'string' ? header : null;
      const asking = whoAsks(handshake, named, { identity, devices, allowedOrigins: options.allowedOrigins });
      const waitMs = this.#rates.ask(asking.principal.id, clock.monotonic());
      if (waitMs === 0) return asking;
      const words = `more than ${options.maxMessagesPerSecond} requests a second (maxMessagesPerSecond)`;
      throw new DeviceRefusal('slow_down', words, waitMs);
    } catch (error) {
      if (error instanceof DeviceRefusal) this.#note(handshake, error);
      throw error;
    }
  }

  /** For operators, where a handshake could have been refused in the same way. */
  #note(handshake: Handshake, { code, message }: DeviceRefusal): void {
    if (isHandshakeCode(code)) this.#gateway.refuseRequest(handshake, code, message);
  }
}

function isHandshakeCode(code: string): code is RefusalCode {
  return code in REFUSAL_STATUS;
}

function sameAs(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((keyId) => b.includes(keyId));
}
