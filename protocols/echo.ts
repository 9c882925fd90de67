import type { DeviceSession, Subprotocol } from './subprotocol.ts';

/**
 * `v1.echo.muster`: returns every message as it came, text as text, binary as binary. For checking what a proxy does
 * to frames. Off unless the hub is started with `--enable-echo`; it has no identity and touches nothing of the hub.
 */
export const echoSubprotocol: Subprotocol = {
  names: ['v1.echo.muster'],
  family: 'echo',
  framing: 'message',
  identifies: false,
  open(link, host): DeviceSession {
    return {
      receive(data, isText) {
        host.heard();
        link.send(isText ? data.toString('utf8') : Buffer.from(data));
      },
      deliver: () => false,
      forward: () => true,
      writable: () => undefined,
      beat: () => undefined,
      end: () => undefined,
      closed: () => undefined,
    };
  },
};
