import { beforeEach, describe, expect, it } from 'vitest';
import type { Command, CommandProgress } from '#protocols/message.js';
import { STORED, type Pending } from '#protocols/outcome.js';
import { httpSubprotocol, type HttpSession, type PollTerms } from '#protocols/http/session.js';
import { decodeUnit, type Unit } from '#protocols/http/units.js';
import { FakeHost, FakeLink } from '../../support/fake-host.ts';

const GRACE_MS = 30_000;
const AT_ONCE: PollTerms = { received: [], waitMs: 0, beatMs: null };
const LONG: PollTerms = { received: [], waitMs: 20_000, beatMs: null };
const STREAM: PollTerms = { received: [], waitMs: 300_000, beatMs: 15_000 };

function command(id: string, params: unknown = {}): Command {
  return { id, device: 'd1', name: 'reboot', params, payload: Buffer.from('{}'), deadlineMs: 5000, attempts: 0 };
}

/** As the command table does: offers what nobody has taken, in order, and forgets what was received. */
class Table extends FakeHost {
  open: Command[] = [];
  taken = new Set<string>();
  /** Progress that the hub has been told and has not written down. */
  unwritten: Pending[] = [];
  http: HttpSession | null = null;

  override ready(): void {
    super.ready();
    this.offer_();
  }
  override readyForCommands(): void {
    super.readyForCommands();
    this.offer_();
  }
  override takeBackCommands(): void {
    super.takeBackCommands();
    this.taken.clear();
    this.offer_();
  }
  override progress(id: string, progress: CommandProgress, pending: Pending): void {
    super.progress(id, progress, pending);
    this.unwritten.push(pending);
  }
  /** What the device said is on disk now. */
  write(): void {
    for (const { request } of this.progressed.splice(0)) {
      this.open = this.open.filter(({ id }) => id !== request.commandId);
    }
    for (const pending of this.unwritten.splice(0)) pending.settle(STORED);
  }
  send(...commands: Command[]): void {
    this.open.push(...commands);
    this.offer_();
  }
  offer_(): void {
    for (const one of this.open) {
      if (!this.taken.has(one.id) && this.http!.deliver(one)) this.taken.add(one.id);
    }
  }
}

let link: FakeLink;
let host: Table;
let session: HttpSession;

beforeEach(() => {
  open();
});

function open(limits: ConstructorParameters<typeof Table>[0] = {}): void {
  link = new FakeLink();
  host = new Table(limits);
  session = httpSubprotocol(GRACE_MS).open(link, host, { connectionId: 'c1', subprotocol: 'http', principal: null });
  host.http = session;
}

const units = (): Unit[] => link.take().map((text) => decodeUnit(text as string));
/** Units in short: `command a`, `done a.b`. */
const said = (): string[] =>
  units().map((unit) => {
    if (unit.kind === 'command') return `command ${(JSON.parse(unit.json) as { id: string }).id} (${unit.cursor})`;
    if (unit.kind === 'done') return `done (${unit.cursor})`;
    return unit.kind === 'goodbye' ? `goodbye ${unit.reason}` : unit.kind;
  });
const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await Promise.resolve();
};

async function polled(terms: PollTerms): Promise<string[]> {
  session.poll(terms);
  await settle();
  return said();
}

describe('a poll', () => {
  it('opens the connection of its device, once', async () => {
    expect(await polled(AT_ONCE)).toEqual(['done ()']);
    expect(await polled(AT_ONCE)).toEqual(['done ()']);
    expect(host.identifications).toMatchObject([{ clientId: null, expiryS: 0, will: null, refusesSingly: true }]);
    expect(host.calls).toEqual(['ready', 'takeBackCommands']);
  });

  it('gets all commands that wait, in one answer', async () => {
    host.open = [command('a', { n: 1 }), command('b')];
    expect(await polled(LONG)).toEqual(['command a (a)', 'command b (a.b)', 'done (a.b)']);
  });

  it('is told id, name, parameters and deadline', async () => {
    host.open = [command('a', { n: [1, null, 'x\n'] })];
    session.poll(LONG);
    await settle();
    const [first] = units();
    expect(first).toMatchObject({ kind: 'command' });
    expect(JSON.parse((first as { json: string }).json)).toEqual({
      id: 'a',
      name: 'reboot',
      params: { n: [1, null, 'x\n'] },
      deadline: 5000,
    });
    expect((first as { json: string }).json).not.toContain('\n');
  });

  it('waits for the first command, and is answered then', async () => {
    expect(await polled(LONG)).toEqual([]);
    host.send(command('a'), command('b'));
    await settle();
    expect(said()).toEqual(['command a (a)', 'command b (a.b)', 'done (a.b)']);
  });

  it('is answered with nothing when its time is over', async () => {
    await polled(LONG);
    expect(host.livenessRule).toEqual({ expectMs: GRACE_MS + 20_000, sendMs: 20_000, reason: 'idle_timeout' });
    session.beat();
    expect(said()).toEqual(['done ()']);
    expect(host.livenessRule).toEqual({ expectMs: GRACE_MS, sendMs: 0, reason: 'idle_timeout' });
  });

  it('sends the one before it home', async () => {
    await polled(LONG);
    expect(await polled(LONG)).toEqual(['done ()']);
    host.send(command('a'));
    await settle();
    expect(said()).toEqual(['command a (a)', 'done (a)']);
  });

  it('sends home one that came while the hub looked who it is', async () => {
    session.poll(LONG);
    session.poll(LONG);
    expect(said()).toEqual(['done ()']);
    host.open = [command('a')];
    await settle();
    expect(said()).toEqual(['command a (a)', 'done (a)']);
  });

  it('that is not there gets nothing: a command waits in the hub', async () => {
    await polled(AT_ONCE);
    host.send(command('a'));
    await settle();
    expect(said()).toEqual([]);
    expect(host.taken.size).toBe(0);
    expect(await polled(AT_ONCE)).toEqual(['command a (a)', 'done (a)']);
  });

  it('whose device has gone away takes nothing any more', async () => {
    const poll = session.poll(LONG);
    await settle();
    session.leave(poll);
    expect(said()).toEqual(['done ()']);
    host.send(command('a'));
    expect(host.taken.size).toBe(0);
    session.leave(poll);
    expect(said()).toEqual([]);
  });

  it('leaves a later one alone when its device has gone away', async () => {
    const first = session.poll(LONG);
    await settle();
    session.poll(LONG);
    said();
    session.leave(first);
    host.send(command('a'));
    await settle();
    expect(said()).toEqual(['command a (a)', 'done (a)']);
  });
});

describe('what was handed over', () => {
  it('comes again until the device says that it has it', async () => {
    host.open = [command('a'), command('b')];
    await polled(AT_ONCE);
    host.open.push(command('c'));
    expect(await polled(AT_ONCE)).toEqual(['command a (a)', 'command b (a.b)', 'command c (a.b.c)', 'done (a.b.c)']);
  });

  it('does not come again to a poll with its cursor, while the hub still writes that down', async () => {
    host.open = [command('a'), command('b')];
    await polled(AT_ONCE);
    expect(await polled({ ...AT_ONCE, received: ['a', 'b'] })).toEqual(['done ()']);
    expect(host.progressed.map(({ request }) => request)).toEqual([
      { commandId: 'a', progress: { kind: 'received' } },
      { commandId: 'b', progress: { kind: 'received' } },
    ]);
    expect(await polled(AT_ONCE)).toEqual(['done ()']);
    host.write();
    expect(await polled(AT_ONCE)).toEqual(['done ()']);
  });

  it('comes again in part, when the device has only the first part', async () => {
    host.open = [command('a'), command('b')];
    await polled(AT_ONCE);
    expect(await polled({ ...AT_ONCE, received: ['a'] })).toEqual(['command b (b)', 'done (b)']);
  });

  it('is received by the cursor of an earlier connection', async () => {
    host.open = [command('a'), command('b')];
    expect(await polled({ ...AT_ONCE, received: ['a'] })).toEqual(['command b (b)', 'done (b)']);
  });

  it('does not come again once the device has answered it by a request of its own', async () => {
    host.open = [command('a')];
    await polled(AT_ONCE);
    const written = session.answered('a');
    expect(await polled(AT_ONCE)).toEqual(['done ()']);
    written();
    // Written down or not, the table would not offer it; if it does, it is handed over.
    expect(await polled(AT_ONCE)).toEqual(['command a (a)', 'done (a)']);
  });

  it('is at most 16 commands; the rest follows', async () => {
    host.open = Array.from({ length: 20 }, (_, i) => command(`c${i}`));
    const first = await polled(AT_ONCE);
    expect(first).toHaveLength(17);
    const received = host.open.slice(0, 16).map(({ id }) => id);
    const second = await polled({ ...AT_ONCE, received });
    expect(second).toHaveLength(5);
    expect(second.at(-1)).toBe('done (c16.c17.c18.c19)');
  });

  it('is at most the bytes of a message, and always one command', async () => {
    open({ maxMessageBytes: 300 });
    host.open = [command('a', 'x'.repeat(400)), command('b', 'x'.repeat(100)), command('c', 'x'.repeat(100))];
    expect(await polled(AT_ONCE)).toEqual(['command a (a)', 'done (a)']);
    expect(await polled({ ...AT_ONCE, received: ['a'] })).toEqual(['command b (b)', 'done (b)']);
    open({ maxMessageBytes: 350 });
    host.open = [command('b', 'x'.repeat(100)), command('c', 'x'.repeat(100))];
    expect(await polled(AT_ONCE)).toHaveLength(3);
  });

  it('waits while the device does not read', async () => {
    link.congested = true;
    host.open = [command('a')];
    expect(await polled(LONG)).toEqual([]);
    link.congested = false;
    session.writable();
    await settle();
    expect(said()).toEqual(['command a (a)', 'done (a)']);
  });
});

describe('an event stream', () => {
  it('begins with a sign of life, and then tells each command', async () => {
    host.open = [command('a')];
    expect(await polled(STREAM)).toEqual(['command a (a)', 'beat']);
    host.send(command('b'));
    await settle();
    expect(said()).toEqual(['command b (a.b)']);
    expect(host.livenessRule).toEqual({ expectMs: GRACE_MS + 300_000, sendMs: 15_000, reason: 'idle_timeout' });
  });

  it('is never silent', async () => {
    await polled(STREAM);
    session.beat();
    expect(said()).toEqual(['beat']);
  });

  it('has at most 16 commands unanswered; an answer makes room', async () => {
    host.open = Array.from({ length: 18 }, (_, i) => command(`c${i}`));
    expect(await polled(STREAM)).toHaveLength(17);
    host.open = host.open.filter(({ id }) => id !== 'c3');
    session.answered('c3');
    const [next, ...rest] = said();
    expect(rest).toEqual([]);
    expect(next).toMatch(/^command c16 \(c0\.c1\.c2\.c4\..*\.c16\)$/);
  });

  it('names in its cursor what is not answered yet', async () => {
    await polled(STREAM);
    host.send(command('a'), command('b'));
    host.open = host.open.slice(1);
    session.answered('a');
    host.send(command('c'));
    expect(said()).toEqual(['command a (a)', 'command b (a.b)', 'command c (b.c)']);
  });

  it('ends when it has lasted long enough, and goes on in the next one', async () => {
    const poll = session.poll(STREAM);
    await settle();
    host.send(command('a'));
    said();
    session.leave(poll);
    expect(said()).toEqual(['done (a)']);
    expect(await polled({ ...STREAM, received: ['a'] })).toEqual(['beat']);
  });
});

describe('the end', () => {
  it('tells the poll that waits, and takes no command any more', async () => {
    await polled(LONG);
    session.end('taken_over', '');
    session.closed();
    expect(units()).toEqual([
      { kind: 'goodbye', reason: 'taken_over', detail: 'a newer connection of the same device took over' },
    ]);
    host.send(command('a'));
    expect(host.taken.size).toBe(0);
    session.beat();
    session.writable();
    expect(said()).toEqual([]);
  });

  it.each(['store_unavailable', 'registration_limit', 'device_disabled'] as const)(
    'is told to a device that is not let in: %s',
    async (reason) => {
      host.identity = () => ({ ok: false, reason });
      expect(await polled(LONG)).toEqual([`goodbye ${reason}`]);
      expect(link.closedWith).toMatchObject({ reason });
      expect(host.calls).toEqual([]);
    },
  );

  it('may be the goodbye of the device, which answers its poll', async () => {
    await polled(LONG);
    session.goodbye();
    expect(said()).toEqual(['done ()']);
    expect(link.closedWith).toMatchObject({ reason: 'client_disconnect' });
  });

  it('may come while the hub looks who it is', async () => {
    session.poll(LONG);
    session.end('hub_shutdown', '');
    session.closed();
    await settle();
    expect(said()).toEqual(['goodbye hub_shutdown']);
    expect(host.calls).toEqual([]);
  });
});

it('has nothing to do with topics', async () => {
  await polled(LONG);
  expect(session.forward()).toBe(true);
  expect(() => session.receive()).toThrow(/does not pass/);
});
