import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ApiError, path, type CommandState } from '../../api.ts';
import { api, may, second } from '../../session.ts';
import { dateTime, duration } from '../../text.ts';
import { Ago, Moment } from '../moment.tsx';
import { CommandBadge, StateSign } from './command-badge.tsx';
import { hasEnded, STATE_LABELS, STATE_TEXTS, stepsOf, type Command, type Step } from './command-state.ts';
import { COMMANDS, type DeviceModel } from './model.ts';
import { visible, visibleLine } from '../../visible.ts';

/** Commands of a device, newest first; each opens to its way through the states. */
export function CommandList({ model }: { readonly model: DeviceModel }) {
  const commands = model.commands.value;
  if (commands === null) return null;
  if (commands.length === 0) return <p class="none">No command was sent to this device yet.</p>;
  return (
    <>
      <ul class="commands">
        {commands.map((command) => (
          <li key={command.id}>
            <CommandItem model={model} command={command} />
          </li>
        ))}
      </ul>
      {commands.length === COMMANDS && <small>The last {COMMANDS}.</small>}
    </>
  );
}

function CommandItem({ model, command }: { readonly model: DeviceModel; readonly command: Command }) {
  const isOpen = useSignal(false);
  return (
    <details class="command" open={isOpen.value} onToggle={({ currentTarget }) => (isOpen.value = currentTarget.open)}>
      <summary>
        <span class="name mono">{visibleLine(command.name)}</span>
        <CommandBadge state={command.state} />
        <small>
          <Ago ms={command.createdUs / 1000} />
        </small>
      </summary>
      {isOpen.value && <CommandDetails model={model} command={command} />}
    </details>
  );
}

interface CommandEvent {
  readonly state: CommandState;
  readonly timeUs: number;
  readonly detail: string | null;
}

function CommandDetails({ model, command }: { readonly model: DeviceModel; readonly command: Command }) {
  const history = useSignal<readonly CommandEvent[]>([]);
  const { id, state, attempts, lateStatus } = command;

  // The feed tells neither parameters, nor large results, nor what was said on the way.
  useEffect(() => {
    const abort = new AbortController();
    api
      .get<{ readonly command: Command; readonly history: readonly CommandEvent[] }>(
        path`/api/v1/commands/${id}`,
        {},
        abort.signal,
      )
      .then(
        (answer) => {
          history.value = answer.history;
          model.tellCommands([answer.command]);
        },
        () => undefined,
      );
    return () => abort.abort();
  }, [id, state, attempts, lateStatus]);

  const notes = history.value.filter(({ detail }) => detail !== null);
  return (
    <div class="command-details">
      <Steps command={command} />
      <p>{STATE_TEXTS[state]}</p>
      <Waiting command={command} />
      {command.lateStatus !== null && <p>It answered after that, too late: {STATE_LABELS[command.lateStatus]}.</p>}
      <Json label="Parameters" value={command.params} />
      <Json label="Result" value={command.result} />
      <Json label="Late result" value={command.lateResult} />
      {notes.length > 0 && (
        <ul class="notes">
          {notes.map(({ state, timeUs, detail }, i) => (
            <li key={i}>
              <Moment ms={timeUs / 1000} /> {STATE_LABELS[state]}: {visibleLine(detail ?? '')}
            </li>
          ))}
        </ul>
      )}
      <p class="foot">
        <code class="muted">{id}</code>
        <Cancel model={model} command={command} />
      </p>
    </div>
  );
}

/** The states as a line of stations, with the time from one to the next. */
function Steps({ command }: { readonly command: Command }) {
  return (
    <ol class="steps">
      {stepsOf(command).map((step, i) => (
        <li key={i} class={step.tone} aria-current={step.tone === 'wait' ? 'step' : undefined}>
          <span class="dot">{step.tone !== 'todo' && step.tone !== 'skipped' && <StateSign tone={step.tone} />}</span>
          <span class="label">{step.tone === 'todo' && i === 3 ? 'result' : STATE_LABELS[step.state]}</span>
          <StepTime step={step} />
        </li>
      ))}
    </ol>
  );
}

function StepTime({ step: { timeUs, tookMs, tone } }: { readonly step: Step }) {
  if (timeUs === null) return <small>{tone === 'skipped' ? 'skipped' : ''}</small>;
  return (
    <small title={dateTime(timeUs / 1000)}>
      {tookMs === null ? <Moment ms={timeUs / 1000} /> : `+${shortTime(tookMs)}`}
    </small>
  );
}

function shortTime(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : duration(ms);
}

/** How long it may still wait. */
function Waiting({ command: { state, expiresUs, receivedUs, responseTimeoutMs } }: { readonly command: Command }) {
  if (hasEnded(state)) return null;
  const untilMs =
    state === 'received' ? (receivedUs ?? 0) / 1000 + (responseTimeoutMs ?? NaN) : (expiresUs ?? NaN) / 1000;
  const leftMs = untilMs - second.value;
  if (Number.isNaN(leftMs) || leftMs < 0) return null;
  return (
    <p class="muted">
      {state === 'received' ? 'It times out' : 'It expires'} in {duration(leftMs)}.
    </p>
  );
}

function Json({ label, value }: { readonly label: string; readonly value: unknown }) {
  if (value === undefined || value === null) return null;
  const text =
    typeof value === 'object' && Object.keys(value).length === 0
      ? JSON.stringify(value)
      : JSON.stringify(value, null, 2);
  return (
    <div class="json">
      <small>{label}</small>
      <pre tabIndex={0} aria-label={label}>
        {visible(text)}
      </pre>
    </div>
  );
}

function Cancel({ model, command: { id, state } }: { readonly model: DeviceModel; readonly command: Command }) {
  const fault = useSignal<string | null>(null);
  if (!may('commands') || (state !== 'queued' && state !== 'sent')) return null;
  const cancel = async (): Promise<void> => {
    try {
      const answer = await api.post<{ readonly command: Command }>(path`/api/v1/commands/${id}/cancel`, {});
      model.tellCommands([answer.command]);
    } catch (error) {
      fault.value = error instanceof ApiError ? error.message : 'It could not be cancelled.';
    }
  };
  return (
    <>
      <button type="button" onClick={() => void cancel()}>
        Cancel command
      </button>
      <span role="alert" class="fault">
        {fault}
      </span>
    </>
  );
}
