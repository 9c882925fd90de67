import { useSignal, type Signal } from '@preact/signals';
import { useId, useRef } from 'preact/hooks';
import type { JSX } from 'preact';
import { ApiError, path } from '../../api.ts';
import { api } from '../../session.ts';
import type { Command } from './command-state.ts';
import type { DeviceModel } from './model.ts';
import { nameFault, newKey, readParameters } from './parameters.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

type Choice = readonly [label: string, ms: number | null];
const TTLS: readonly Choice[] = [
  ['as the hub says', null],
  ['30 s', 30 * SECOND_MS],
  ['5 min', 5 * MINUTE_MS],
  ['1 hour', HOUR_MS],
  ['1 day', 24 * HOUR_MS],
];
const RESPONSES: readonly Choice[] = [
  ['as the hub says', null],
  ['10 s', 10 * SECOND_MS],
  ['1 min', MINUTE_MS],
  ['10 min', 10 * MINUTE_MS],
];

/** `stored` stays for a moment: a second click was meant for the first command. */
type Progress = 'ready' | 'sending' | 'stored';
const STORED_MS = 1000;
const BUTTON: Readonly<Record<Progress, string>> = { ready: 'Send command', sending: 'Sending…', stored: 'Stored' };

interface Faults {
  readonly name?: string;
  readonly params?: string;
  /** Of the whole. */
  readonly form?: string;
}

/** What was sent without an answer: sending the same again is safe as long as the hub runs, as it carries the same key. */
interface Unanswered {
  readonly key: string;
  readonly body: string;
}

/** Sends a command. Its states are shown in the list below. */
export function CommandForm({ model }: { readonly model: DeviceModel }) {
  const name = useSignal('');
  const params = useSignal('');
  const ttl = useSignal<number | null>(null);
  const response = useSignal<number | null>(null);
  const faults = useSignal<Faults>({});
  const said = useSignal('');
  const progress = useSignal<Progress>('ready');
  const unanswered = useRef<Unanswered | null>(null);
  const id = useId();

  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (progress.value !== 'ready') return;
    const read = readParameters(params.value);
    const wrongName = nameFault(name.value);
    if (wrongName !== null || !read.ok) {
      faults.value = { ...(wrongName !== null && { name: wrongName }), ...(!read.ok && { params: read.error }) };
      focusFault(event.currentTarget as HTMLFormElement);
      return;
    }
    const body = {
      name: name.value,
      ...(read.given && { params: read.value }),
      ...(ttl.value !== null && { ttlMs: ttl.value }),
      ...(response.value !== null && { responseTimeoutMs: response.value }),
    };
    progress.value = 'sending';
    said.value = '';
    faults.value = {};
    try {
      const command = await sent(model.id, body, unanswered);
      model.tellCommands([command]);
      said.value = `${body.name} was stored by the hub.`;
      progress.value = 'stored';
      setTimeout(() => (progress.value = 'ready'), STORED_MS);
    } catch (error) {
      faults.value = faultsOf(error);
      progress.value = 'ready';
    }
  };

  return (
    <form class="command-form" onSubmit={(event) => void send(event)} onKeyDown={sendOnCtrlEnter} noValidate>
      <Field label="Command" id={`${id}name`} fault={faults.value.name}>
        {(given) => (
          <input
            {...given}
            list={`${id}names`}
            value={name}
            onInput={textInto(name)}
            autocomplete="off"
            autocapitalize="none"
            spellcheck={false}
            maxLength={64}
            placeholder="reboot"
          />
        )}
      </Field>
      <datalist id={`${id}names`}>
        {namesOf(model).map((known) => (
          <option key={known} value={known} />
        ))}
      </datalist>
      <Field label="Parameters, as JSON" id={`${id}params`} fault={faults.value.params}>
        {(given) => (
          <textarea
            {...given}
            class="mono"
            rows={3}
            value={params}
            onInput={textInto(params)}
            spellcheck={false}
            placeholder={'{"delay": 5}'}
          />
        )}
      </Field>
      <div class="pair">
        <Select label="Waits for the device" id={`${id}ttl`} choices={TTLS} value={ttl} />
        <Select label="Device may take" id={`${id}response`} choices={RESPONSES} value={response} />
      </div>
      <Notice model={model} />
      <button class="primary" type="submit" aria-disabled={progress.value !== 'ready'}>
        {BUTTON[progress.value]}
      </button>
      <span class="visually-hidden" role="status">
        {said}
      </span>
      {faults.value.form !== undefined && (
        <p class="fault" role="alert">
          {faults.value.form}
        </p>
      )}
    </form>
  );
}

/** The same body that got no answer goes under the same key: a hub that was not started anew does nothing twice. */
async function sent(device: string, body: object, unanswered: { current: Unanswered | null }): Promise<Command> {
  const text = JSON.stringify(body);
  const again = unanswered.current?.body === text ? unanswered.current : null;
  const key = again?.key ?? newKey((bytes) => crypto.getRandomValues(bytes as Uint8Array<ArrayBuffer>));
  unanswered.current = { key, body: text };
  const to = path`/api/v1/devices/${device}/commands`;
  try {
    const { command } = await api.post<{ readonly command: Command }>(to, body, { 'Idempotency-Key': key });
    unanswered.current = null;
    return command;
  } catch (error) {
    // The hub has decided: nothing was stored.
    if (error instanceof ApiError && error.status >= 400 && error.status < 500) unanswered.current = null;
    throw error;
  }
}

function faultsOf(error: unknown): Faults {
  if (!(error instanceof ApiError)) return { form: 'The command could not be sent.' };
  if (error.status === 0)
    return {
      // A hub that was started anew has forgotten the key.
      form: 'The hub cannot be reached, so it is not known whether the command was stored. Once the page is live again, the list below shows it if it was: send it again only if it is not there.',
    };
  const of = (field: string): string | undefined =>
    error.errors.find(({ path }) => path.startsWith(`body.${field}`))?.message;
  const [name, params] = [of('name'), of('params')];
  if (name === undefined && params === undefined) return { form: error.message };
  return { ...(name !== undefined && { name }), ...(params !== undefined && { params }) };
}

interface FieldGiven {
  readonly id: string;
  readonly 'aria-invalid': boolean;
  readonly 'aria-describedby': string | undefined;
}

function Field(props: {
  readonly label: string;
  readonly id: string;
  readonly fault: string | undefined;
  readonly children: (given: FieldGiven) => JSX.Element;
}) {
  const { label, id, fault, children } = props;
  const isWrong = fault !== undefined;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, 'aria-invalid': isWrong, 'aria-describedby': isWrong ? `${id}-fault` : undefined })}
      {isWrong && (
        <p class="fault" id={`${id}-fault`}>
          {fault}
        </p>
      )}
    </div>
  );
}

function Select(props: {
  readonly label: string;
  readonly id: string;
  readonly choices: readonly Choice[];
  readonly value: Signal<number | null>;
}) {
  const { label, id, choices, value } = props;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={String(value.value)}
        onChange={({ currentTarget }) =>
          (value.value = currentTarget.value === 'null' ? null : Number(currentTarget.value))
        }
      >
        {choices.map(([text, ms]) => (
          <option key={text} value={String(ms)}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** What will become of a command that is sent now. */
function Notice({ model }: { readonly model: DeviceModel }) {
  const device = model.device.value;
  if (device === null || (device.presence.online && !device.disabled)) return null;
  return (
    <p class="notice">
      {device.disabled
        ? 'The device is disabled and cannot connect: a command would wait in vain.'
        : 'The device is offline: the command waits on disk until it connects, or expires.'}
    </p>
  );
}

function textInto(target: Signal<string>) {
  return ({ currentTarget }: { readonly currentTarget: HTMLInputElement | HTMLTextAreaElement }): void => {
    target.value = currentTarget.value;
  };
}

function sendOnCtrlEnter(event: KeyboardEvent & { readonly currentTarget: HTMLFormElement }): void {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  event.currentTarget.requestSubmit();
}

function focusFault(form: HTMLFormElement): void {
  requestAnimationFrame(() => form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
}

/** Names of commands that this device was sent before. */
function namesOf(model: DeviceModel): string[] {
  return [...new Set((model.commands.value ?? []).map(({ name }) => name))].sort();
}
