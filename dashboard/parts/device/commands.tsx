import { may } from '../../session.ts';
import { CommandForm } from './command-form.tsx';
import { CommandList } from './command-list.tsx';
import type { DeviceModel } from './model.ts';

/** Sending commands, for those who may, and what became of them. */
export function Commands({ model }: { readonly model: DeviceModel }) {
  return (
    <section class="panel" aria-labelledby="commands-title">
      <header class="section-head">
        <h2 id="commands-title">Commands</h2>
        {!may('commands') && <small>Sending needs the role operator</small>}
      </header>
      {may('commands') && <CommandForm model={model} />}
      <CommandList model={model} />
    </section>
  );
}
