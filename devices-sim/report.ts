import type { CommandReport } from './commands.ts';
import type { Latency } from './figures.ts';
import type { LinkFigures } from './link.ts';
import type { SimProtocol } from './options.ts';
import type { LedgerVerdict } from './verdict.ts';

/** What came of holding the hub's log against the ledger. */
export type Verification =
  | { readonly kind: 'verified'; readonly verdict: LedgerVerdict }
  /** It was wanted and could not be done: counts as a failure. */
  | { readonly kind: 'not verified'; readonly why: string }
  /** It was not wanted. */
  | { readonly kind: 'off' };

/** How our own hub came back after SIGKILL; null where it did not, in time. */
export interface OutageReport {
  /** From the kill to `/readyz`. */
  readonly hubBackMs: number | null;
  /** From the kill until as many devices were connected as before. */
  readonly fleetBackMs: number | null;
}

/** What a run shows; times in milliseconds, counts of messages where nothing else is said. */
export interface SimReport {
  readonly exitCode: 0 | 1;
  /** Why `exitCode` is 1. */
  readonly failures: readonly string[];
  /** Ended by a signal before its time. */
  readonly interrupted: boolean;
  /** From the first connection to the end of the drain. */
  readonly elapsedMs: number;
  readonly devices: number;
  readonly devicesByProtocol: Readonly<Record<SimProtocol, number>>;
  /** Devices that the hub took in at least once. */
  readonly everConnected: number;
  /** Devices connected when the drain was over. */
  readonly connectedAtEnd: number;
  readonly reconnects: number;
  readonly gaveUp: number;
  readonly sent: number;
  readonly resent: number;
  readonly acknowledged: number;
  readonly refused: number;
  readonly firstRefusal: string | null;
  readonly unacknowledgedAtEnd: number;
  readonly skipped: number;
  /** From the last send of a message to its acknowledgement. */
  readonly acknowledgement: Latency;
  /** From the time a message was due to its acknowledgement. */
  readonly delivery: Latency;
  /** Null: none were asked for. */
  readonly commands: CommandReport | null;
  /** Null: the hub was not killed. */
  readonly outage: OutageReport | null;
  /** How connections and attempts ended before the run did, most frequent first. */
  readonly closes: Readonly<Record<string, number>>;
  /** What the bad link did; null: there was none. */
  readonly link: LinkFigures | null;
  readonly faults: { readonly count: number; readonly first: string | null };
  readonly ledger: Verification;
}

/** Everything in the report that makes the run a failure, in words. */
export function failuresOf(report: Pick<SimReport, 'ledger' | 'commands' | 'faults'>): string[] {
  const failures: string[] = [];
  if (report.ledger.kind === 'not verified') failures.push(`not verified: ${report.ledger.why}`);
  if (report.ledger.kind === 'verified' && !report.ledger.verdict.ok) {
    const { verdict } = report.ledger;
    failures.push(
      verdict.acknowledged === 0
        ? 'nothing was acknowledged, so nothing was shown'
        : 'the log of the hub is not what was sent and acknowledged',
    );
  }
  if (report.faults.count > 0) failures.push(`the hub broke its protocol ${report.faults.count} times`);
  const contradictions = report.commands?.contradictions ?? 0;
  if (contradictions > 0) failures.push(`hub and devices differ on ${contradictions} commands`);
  return failures;
}

/** The report for people, lines ended. */
export function reportText(report: SimReport): string {
  const r = report;
  const byProtocol = Object.entries(r.devicesByProtocol)
    .filter(([, count]) => count > 0)
    .map(([protocol, count]) => `${protocol} ${n(count)}`)
    .join(', ');
  const lines = [
    `devices       ${n(r.devices)} (${byProtocol}), connected ${n(r.everConnected)}, reconnects ${n(r.reconnects)}` +
      (r.gaveUp > 0 ? `, turned away ${n(r.gaveUp)}` : ''),
    `messages      sent ${n(r.sent)}, acknowledged ${n(r.acknowledged)}, resent ${n(r.resent)}, ` +
      `unacknowledged at the end ${n(r.unacknowledgedAtEnd)}` +
      (r.refused > 0 ? `, refused ${n(r.refused)} (${r.firstRefusal ?? ''})` : '') +
      (r.skipped > 0 ? `, not kept (queue full) ${n(r.skipped)}` : ''),
    `send to ack   ${latency(r.acknowledgement)}`,
    `due to ack    ${latency(r.delivery)}`,
  ];
  if (r.commands !== null) lines.push(...commandLines(r.commands));
  if (r.outage !== null) {
    lines.push(
      `kill -9       hub back after ${span(r.outage.hubBackMs)}, fleet back after ${span(r.outage.fleetBackMs)}`,
    );
  }
  if (r.link !== null) {
    const { connections, chunks, cuts } = r.link;
    lines.push(`bad link      ${n(cuts)} of ${n(chunks)} chunks cut, of ${n(connections)} connections`);
  }
  const closes = Object.entries(r.closes);
  if (closes.length > 0) lines.push('closes', ...closes.slice(0, 8).map(([why, count]) => `  ${n(count)} × ${why}`));
  if (r.faults.count > 0) lines.push(`faults        ${n(r.faults.count)}, first: ${r.faults.first ?? ''}`);
  lines.push(...ledgerLines(r.ledger));
  if (r.interrupted) lines.push('The run was ended before its time.');
  lines.push(r.exitCode === 0 ? 'OK' : `FAILED: ${r.failures.join('; ')}`);
  return lines.join('\n') + '\n';
}

function commandLines(c: CommandReport): string[] {
  const states = Object.entries(c.byState)
    .map(([state, count]) => `${state} ${n(count)}`)
    .join(', ');
  return [
    `commands      stored ${n(c.created)} (${states || 'none'}), not stored ${n(c.notCreated)}, ` +
      `delivered ${n(c.received)}, of these repeats ${n(c.repeats)}, contradictions ${n(c.contradictions)}`,
    ...c.examples.map((example) => `  ${example}`),
  ];
}

function ledgerLines(ledger: Verification): string[] {
  if (ledger.kind === 'off') return ['ledger        not asked for'];
  if (ledger.kind === 'not verified') return [`ledger        not verified: ${ledger.why}`];
  const v = ledger.verdict;
  return [
    `ledger        ${n(v.acknowledged)} readings acknowledged of ${n(v.sent)} sent, ${n(v.rowsCompared)} rows in the log`,
    `              lost ${n(v.lost)}, doubled ${n(v.doubled)}, wrong value ${n(v.wrongValue)}, never sent ${n(v.foreign)}, ` +
      `torn messages ${n(v.torn)}, refused messages ${n(v.refused)}`,
    `              repeats of resent messages ${n(v.repeats)} (MQTT and STOMP, allowed), stored without a seen ack ${n(v.storedUnacknowledged)}`,
    ...v.examples.map((example) => `  ${example}`),
  ];
}

function latency(l: Latency): string {
  if (l.count === 0) return 'nothing acknowledged';
  return `p50 ${span(l.p50Ms)}, p95 ${span(l.p95Ms)}, p99 ${span(l.p99Ms)}, max ${span(l.maxMs)}`;
}

function span(ms: number | null): string {
  if (ms === null) return 'never';
  return ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/** 12,345 */
function n(count: number): string {
  return count.toLocaleString('en-US');
}
