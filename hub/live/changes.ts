import type { PresenceView } from '#hub/fleet/port.js';
import type { CommandRow } from '#hub/store/port.js';
import type { Change } from './journal.ts';
import type { AlarmChange } from './port.ts';

/** What the rooms of the hub tell, as the journal keeps it: the key of the thing, its newest state, the bytes that it holds. */
export interface Noted {
  readonly key: string;
  readonly change: Change;
  readonly bytes: number;
}

export function notedPresence(device: string, presence: PresenceView | null): Noted {
  return { key: `presence ${device}`, change: { kind: 'presence', content: { device, presence } }, bytes: 0 };
}

/** The parameters stay with the one who sent them; a result that is longer than `resultCharacters` is left out. */
export function notedCommand(row: CommandRow, resultCharacters: number): Noted {
  const { id, device, name, state, createdUs, sentUs, receivedUs, finishedUs, attempts, lateStatus } = row;
  const text = row.result ?? row.lateResult;
  const isCut = text !== null && text.length > resultCharacters;
  const result = isCut ? null : text;
  const content = {
    ...{ id, device, name, state, createdUs, sentUs, receivedUs, finishedUs, attempts },
    ...{ result, lateStatus, ...(isCut ? { resultCut: true as const } : {}) },
  };
  return { key: `command ${id}`, change: { kind: 'command', content }, bytes: 256 + (result?.length ?? 0) };
}

export function notedAlarm(alarm: AlarmChange): Noted {
  return { key: `alarm ${alarm.code}`, change: { kind: 'alarm', content: alarm }, bytes: 0 };
}
