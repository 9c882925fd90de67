import { useSignal } from '@preact/signals';
import '../style/copyable.css';

const SHOWN_MS = 2000;

/** A command that can be taken with one click. */
export function Copyable({ text, label }: { readonly text: string; readonly label: string }) {
  const state = useSignal<'Copy' | 'Copied' | 'Select it'>('Copy');
  const copy = async (): Promise<void> => {
    try {
      // Browsers keep the clipboard from pages without TLS: then there is none.
      await navigator.clipboard.writeText(text);
      state.value = 'Copied';
    } catch {
      state.value = 'Select it';
    }
    setTimeout(() => (state.value = 'Copy'), SHOWN_MS);
  };
  return (
    <div class="copyable">
      <code tabIndex={0} aria-label={label}>
        {text}
      </code>
      <button type="button" onClick={() => void copy()} aria-label={`Copy: ${label}`}>
        <span aria-live="polite">{state.value}</span>
      </button>
    </div>
  );
}
