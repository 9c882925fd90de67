import { count } from '../../text.ts';
import { visibleLine } from '../../visible.ts';
import { Ago, Moment } from '../moment.tsx';
import { isAboutOffer, isStream, pieces, type Group, type Refused } from './groups.ts';

const SHOWN_ADDRESSES = 6;

/** Handshakes that are alike: what was offered, why it was refused, who it was, and what to change. */
export function GroupCard({ group }: { readonly group: Group }) {
  const { newest, firstMs } = group;
  return (
    <article class="refused-card">
      <header>
        <h2>{newest.title}</h2>
        <span class="times">
          <strong>{count(group.count)}×</strong>{' '}
          <span class="muted">
            last <Ago ms={newest.timeMs} />
            {group.count > 1 && (
              <>
                , first <Moment ms={firstMs} />
              </>
            )}
          </span>
        </span>
      </header>
      <dl>
        <dt>Offered</dt>
        <dd>
          <Offered refused={newest} />
        </dd>
        <dt>Why</dt>
        <dd>
          {visibleLine(newest.detail)}
          <small class="code">
            {newest.code}, {isStream(newest) ? 'closed without an answer' : `answered with HTTP ${newest.status}`}
          </small>
        </dd>
        <dt>Who</dt>
        <dd>
          <Who group={group} />
        </dd>
        <dt class="advice-term">To change</dt>
        <dd class="advice">
          {pieces(newest.advice).map((piece, i) => (piece.isCode ? <code key={i}>{piece.text}</code> : piece.text))}
        </dd>
      </dl>
    </article>
  );
}

/** The header exactly as it came. */
function Offered({ refused }: { readonly refused: Refused }) {
  const { offered } = refused;
  if (isStream(refused)) return <span class="muted">nothing: this port has no handshake</span>;
  if (offered === null) return <span class="muted">nothing: there was no Sec-WebSocket-Protocol</span>;
  if (offered.trim() === '') return <span class="muted">an empty Sec-WebSocket-Protocol</span>;
  return (
    <>
      <span class="muted header-name">Sec-WebSocket-Protocol:</span>{' '}
      <code class={isAboutOffer(refused) ? 'offered wrong' : 'offered'}>{visibleLine(offered)}</code>
    </>
  );
}

function Who({ group: { newest, addresses } }: { readonly group: Group }) {
  const others = addresses.length - SHOWN_ADDRESSES;
  return (
    <>
      {addresses.slice(0, SHOWN_ADDRESSES).map(([address, times], i) => (
        <span key={address}>
          {i > 0 && ', '}
          <bdi class="mono">{address}</bdi>
          {addresses.length > 1 && <span class="muted"> {count(times)}×</span>}
        </span>
      ))}
      {others > 0 && <span class="muted"> and {count(others)} more addresses</span>}
      <span class="muted"> on </span>
      <code>{visibleLine(newest.path)}</code>
      {!isStream(newest) && (
        <span class="agent muted">{newest.userAgent === null ? 'no User-Agent' : visibleLine(newest.userAgent)}</span>
      )}
    </>
  );
}
