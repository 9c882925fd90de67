import { useEffect, useRef } from 'preact/hooks';
import { DEVICE_STATES, type DeviceState, type FleetQuery } from '../../fleet-view.ts';
import { count, protocolText } from '../../text.ts';
import { stateName } from '../badge.tsx';

const PROTOCOLS = ['mqtt', 'stomp', 'cbor', 'http'];

interface ToolbarProps {
  readonly query: FleetQuery;
  readonly change: (part: Partial<FleetQuery>) => void;
  readonly shown: number;
  readonly total: number;
  /** A new order waits until the pointer has left the table. */
  readonly isHeld: boolean;
  /** From the filter down into the table. */
  readonly onDown: () => void;
}

/** What the table shows: text, state, protocol. */
export function Toolbar({ query, change, shown, total, isHeld, onDown }: ToolbarProps) {
  return (
    <div class="toolbar" role="search" aria-label="Devices">
      <FilterBox text={query.text} onText={(text) => change({ text })} onDown={onDown} />
      <div class="choices" role="group" aria-label="State">
        {[null, ...DEVICE_STATES].map((state) => (
          <Choice key={state} isChosen={query.state === state} onChoose={() => change({ state })}>
            {state === null ? 'All' : shortName(state)}
          </Choice>
        ))}
      </div>
      <div class="choices" role="group" aria-label="Protocol">
        {[null, ...PROTOCOLS].map((protocol) => (
          <Choice key={protocol} isChosen={query.protocol === protocol} onChoose={() => change({ protocol })}>
            {protocol === null ? 'Any' : protocolText(protocol)}
          </Choice>
        ))}
      </div>
      <p class="found">
        {isHeld && <span class="held">order held</span>} {count(shown)}
        {shown !== total && ` of ${count(total)}`} {total === 1 ? 'device' : 'devices'}
      </p>
    </div>
  );
}

function shortName(state: DeviceState): string {
  return state === 'never' ? 'Never' : stateName(state);
}

interface ChoiceProps {
  readonly isChosen: boolean;
  readonly onChoose: () => void;
  readonly children: string;
}

function Choice({ isChosen, onChoose, children }: ChoiceProps) {
  return (
    <button type="button" aria-pressed={isChosen} onClick={onChoose}>
      {children}
    </button>
  );
}

interface FilterBoxProps {
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly onDown: () => void;
}

/** `/` comes here from everywhere, Escape empties it. */
function FilterBox({ text, onText, onDown }: FilterBoxProps) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent): void => {
      const target = event.target as Element;
      if (event.key !== '/' || event.ctrlKey || event.metaKey || event.altKey) return;
      if (target.matches('input, textarea, select, [contenteditable]')) return;
      event.preventDefault();
      input.current?.select();
    };
    document.addEventListener('keydown', focus);
    return () => document.removeEventListener('keydown', focus);
  }, []);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'ArrowDown') {
      event.preventDefault();
      onDown();
    } else if (event.key === 'Escape') {
      onText('');
    }
  };
  return (
    <label class="filter">
      <svg viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
        <circle cx="7" cy="7" r="4.5" />
        <path d="m10.5 10.5 4 4" />
      </svg>
      <span class="visually-hidden">Filter by id or name</span>
      <input
        ref={input}
        type="search"
        value={text}
        placeholder="Filter by id or name"
        autocomplete="off"
        spellcheck={false}
        aria-keyshortcuts="/"
        onInput={(event) => onText(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      <kbd aria-hidden="true">/</kbd>
    </label>
  );
}
