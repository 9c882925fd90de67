import { beforeEach, describe, expect, it } from 'vitest';
import { encodeUnit, type Unit } from '#protocols/http/units.js';
import { PollTransport } from '#hub/gateway/http/poll-transport.js';
import type { PollAnswer } from '#hub/gateway/http/port.js';

class Answer implements PollAnswer {
  readonly heard: string[] = [];
  bufferedBytes = 0;

  command(json: string, cursor: string): void {
    this.heard.push(`command ${json} ${cursor}`);
  }
  beat(): void {
    this.heard.push('beat');
  }
  done(cursor: string): void {
    this.heard.push(`done ${cursor}`);
  }
  refuse(reason: string, detail: string): void {
    this.heard.push(`refuse ${reason}: ${detail}`);
  }
  destroy(): void {
    this.heard.push('destroy');
  }
}

let transport: PollTransport;
let gone: number;
let first: Answer;
let second: Answer;

beforeEach(() => {
  gone = 0;
  transport = new PollTransport(() => gone++);
  first = new Answer();
  second = new Answer();
});

const write = (units: readonly Unit[], drained: (() => void) | null = null): boolean =>
  transport.write(units.map(encodeUnit), drained);
const GOODBYE: Unit = { kind: 'goodbye', reason: 'taken_over', detail: 'a newer one' };

describe('what is written', () => {
  it('goes to the poll that waits longest, and after its end to the next', () => {
    transport.add(first);
    transport.add(second);
    write([
      { kind: 'command', cursor: 'a', json: '{}' },
      { kind: 'done', cursor: 'a' },
      { kind: 'beat' },
      { kind: 'done', cursor: '' },
    ]);
    expect(first.heard).toEqual(['command {} a', 'done a']);
    expect(second.heard).toEqual(['beat', 'done ']);
  });

  it('may come in parts', () => {
    transport.add(first);
    write([{ kind: 'command', cursor: 'a', json: '1' }]);
    write([{ kind: 'done', cursor: 'a' }]);
    expect(first.heard).toEqual(['command 1 a', 'done a']);
  });

  it('is lost when nobody polls', () => {
    expect(write([{ kind: 'command', cursor: 'a', json: '1' }])).toBe(true);
    transport.add(first);
    expect(first.heard).toEqual([]);
  });

  it('is counted while the sockets have not taken it, after the end of an answer too', () => {
    transport.add(first);
    write([{ kind: 'done', cursor: '' }]);
    transport.add(second);
    first.bufferedBytes = 100;
    second.bufferedBytes = 20;
    expect(transport.bufferedBytes).toBe(120);
    transport.closed(first);
    expect(transport.bufferedBytes).toBe(20);
  });

  it('has drained when a socket has taken it, or has gone, or had nothing to take', async () => {
    let drains = 0;
    transport.add(first);
    first.bufferedBytes = 5;
    write([{ kind: 'beat' }], () => drains++);
    expect(drains).toBe(0);
    transport.drained();
    expect(drains).toBe(1);
    write([{ kind: 'beat' }], () => drains++);
    transport.closed(first);
    expect(drains).toBe(2);
    write([{ kind: 'beat' }], () => drains++);
    await Promise.resolve();
    expect(drains).toBe(3);
  });
});

describe('the end', () => {
  it('answers everybody who waits with the goodbye, and has gone when all answers have', () => {
    transport.add(first);
    transport.add(second);
    write([GOODBYE]);
    transport.close();
    expect(first.heard).toEqual(['refuse taken_over: a newer one']);
    expect(second.heard).toEqual(['refuse taken_over: a newer one']);
    expect(gone).toBe(0);
    transport.closed(second);
    transport.closed(first);
    expect(gone).toBe(1);
  });

  it('is at once when nobody polls', () => {
    write([GOODBYE]);
    transport.close();
    expect(gone).toBe(1);
  });

  it('cuts who was not told', () => {
    transport.add(first);
    transport.close();
    expect(first.heard).toEqual(['destroy']);
  });

  it('by force cuts those too whose answers nobody takes', () => {
    transport.add(first);
    write([{ kind: 'done', cursor: '' }]);
    transport.add(second);
    transport.terminate();
    expect(first.heard).toEqual(['done ', 'destroy']);
    expect(second.heard).toEqual(['destroy']);
    transport.closed(first);
    transport.closed(second);
    expect(gone).toBe(1);
    transport.terminate();
    expect(gone).toBe(1);
  });

  it('is the end of writing', () => {
    transport.close();
    transport.add(first);
    expect(write([{ kind: 'done', cursor: '' }])).toBe(false);
    expect(first.heard).toEqual([]);
  });
});

it('has nothing to read and nothing to ping', () => {
  transport.pause();
  transport.resume();
  transport.ping();
  expect(transport.pings).toBe(false);
});
