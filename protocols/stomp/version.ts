import { ProtocolError } from '../errors.ts';
import { DIALECTS, STOMP_1_0, type Dialect } from './dialect.ts';
import { excerpt, receiptContext, type StompFrame } from './frame.ts';

/** What a name in `Sec-WebSocket-Protocol` stands for: one version. Any other name (streams have none): all versions. */
export function dialectsOf(subprotocol: string): readonly Dialect[] {
  const named = DIALECTS.find(({ version }) => subprotocol === `v${version.replace('.', '')}.stomp`);
  return named === undefined ? DIALECTS : [named];
}

/**
 * Protocol Negotiation: the highest version that CONNECT accepts and `served` holds; without accept-version the client speaks 1.0.
 * Throws ProtocolError, also when the header contradicts the subprotocol that was negotiated before.
 */
export function negotiateVersion(frame: StompFrame, served: readonly Dialect[], subprotocol: string): Dialect {
  const header = frame.headers.get('accept-version');
  const accepted = (header ?? STOMP_1_0.version).split(',').map((version) => version.trim());
  const common = served.findLast(({ version }) => accepted.includes(version));
  if (common !== undefined) return common;
  const said =
    header === undefined
      ? 'it has no accept-version, which means STOMP 1.0'
      : `it has accept-version ${excerpt(header)}`;
  const against =
    served.length === 1
      ? `the WebSocket subprotocol ${subprotocol}, which was negotiated, means STOMP ${served[0]!.version}: the two contradict each other`
      : `this hub serves ${served.map(({ version }) => version).join(', ')}`;
  throw new ProtocolError('unsupported_version', `${frame.command}: ${said}, and ${against}`, {
    ...receiptContext(frame.headers),
    version: served.map(({ version }) => version).join(','),
  });
}
