import { cborSubprotocol } from './cbor/session.ts';
import { echoSubprotocol } from './echo.ts';
import { mqttSubprotocol } from './mqtt/session.ts';
import { stompSubprotocol } from './stomp/session.ts';
import type { Subprotocol } from './subprotocol.ts';

/** What the hub serves, by the names that `Sec-WebSocket-Protocol` offers. A new protocol is one line here. */
export function registry(options: { readonly echo: boolean }): ReadonlyMap<string, Subprotocol> {
  const served = [mqttSubprotocol, stompSubprotocol, cborSubprotocol, ...(options.echo ? [echoSubprotocol] : [])];
  return new Map(served.flatMap((subprotocol) => subprotocol.names.map((name) => [name, subprotocol] as const)));
}
