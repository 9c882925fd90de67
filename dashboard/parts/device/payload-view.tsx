import { useSignal } from '@preact/signals';
import { count } from '../../text.ts';
import { visible } from '../../visible.ts';
import { bytesOf, hexRows, isReadable, type Payload } from './payload.ts';

/** What is shown before one asks for more: 256 rows of 16 bytes. */
const FIRST_BYTES = 4096;

/** Bytes as a device sent them, as text or in hex. */
export function PayloadView({ payload, label }: { readonly payload: Payload; readonly label: string }) {
  const form = useSignal<'text' | 'hex'>(isReadable(payload) ? 'text' : 'hex');
  const showsAll = useSignal(false);
  const bytes = bytesOf(payload);
  const limit = showsAll.value ? Infinity : FIRST_BYTES;
  const text =
    form.value === 'text'
      ? visible((payload.text ?? '').slice(0, limit))
      : hexRows(bytes.subarray(0, limit)).join('\n');
  return (
    <div class="payload">
      <div class="payload-head">
        <small>{count(bytes.length)} bytes</small>
        {payload.text !== null && (
          <div class="segments" role="group" aria-label="Shown as">
            {(['text', 'hex'] as const).map((one) => (
              <button key={one} type="button" aria-pressed={form.value === one} onClick={() => (form.value = one)}>
                {one === 'text' ? 'Text' : 'Hex'}
              </button>
            ))}
          </div>
        )}
      </div>
      {bytes.length === 0 ? (
        <p class="none">Empty.</p>
      ) : (
        <pre class={form.value} tabIndex={0} aria-label={label}>
          {text}
        </pre>
      )}
      {bytes.length > limit && (
        <button type="button" class="more" onClick={() => (showsAll.value = true)}>
          Show all {count(bytes.length)} bytes
        </button>
      )}
    </div>
  );
}
