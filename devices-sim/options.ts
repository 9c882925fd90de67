/** What a run is asked to do. Every field is decided: defaults stand in `SIM_OPTION_TABLE`. */
export interface SimOptions {
  /** ws:// or wss:// address of the hub. Port 0 with `spawnHub`: a free one. */
  readonly url: string;
  readonly devices: number;
  readonly mix: ProtocolMix;
  /** Between two messages of one device, whole milliseconds. */
  readonly intervalMs: number;
  /** How long the whole fleet sends, counted from the end of the ramp; Infinity: until the signal. */
  readonly durationMs: number;
  /** Whole number in [0, 2^32). */
  readonly seed: number;
  /** API token (`mst_…`), or null: devices connect anonymously. */
  readonly token: string | null;
  /** Devices switched on per second. */
  readonly rampPerSecond: number;
  readonly commandsPerMinute: number;
  /** Start a hub of our own for this run. */
  readonly spawnHub: boolean;
  /** SIGKILL our hub so long after the end of the ramp, and start it again; null: never. */
  readonly killAfterMs: number | null;
  /** Data folder of our hub; null: a fresh one that is removed at the end. */
  readonly dataDir: string | null;
  /** Program and first arguments of our hub, before `serve …`; null: this package's own. */
  readonly hubCommand: readonly string[] | null;
  /** Devices reach the hub through a link that cuts this share of what passes, in [0, 1]; null: directly. */
  readonly cuts: number | null;
  /** Hold the hub's log against the ledger at the end. */
  readonly verify: boolean;
  /** How long to wait for outstanding acknowledgements once the devices have stopped measuring. */
  readonly drainMs: number;
  /** Final report as JSON on stdout; progress goes to stderr. */
  readonly json: boolean;
}

export type SimProtocol = 'mqtt' | 'stomp' | 'cbor' | 'http';
export const SIM_PROTOCOLS: readonly SimProtocol[] = ['mqtt', 'stomp', 'cbor', 'http'];

/** A count of nothing for each protocol. */
export function noneByProtocol(): Record<SimProtocol, number> {
  return { mqtt: 0, stomp: 0, cbor: 0, http: 0 };
}

/** Shares of the fleet; only their proportions count. */
export type ProtocolMix = Readonly<Record<SimProtocol, number>>;

/** One flag of `muster sim`, for whoever builds the command line. */
export interface SimOptionRow {
  /** Long flag with its dashes. */
  readonly flag: string;
  /** Name of its value in the help; null: a switch. */
  readonly value: string | null;
  /** Text as it would be typed; null: absent. */
  readonly default: string | null;
  readonly help: string;
}

export const SIM_OPTION_TABLE = [
  row('--url', 'url', 'ws://127.0.0.1:8080', 'address of the hub; with --spawn-hub, port 0 takes a free one'),
  row('--devices', 'n', '100', 'number of devices'),
  row('--mix', 'shares', 'mqtt=60,stomp=20,cbor=20', 'protocols of the fleet (mqtt, stomp, cbor, http), by share'),
  row('--protocols', 'names', null, 'instead of --mix: an equal share of each, such as cbor,http'),
  row('--interval', 'time', '10s', 'between two messages of a device'),
  row('--duration', 'time', '60s', 'how long the whole fleet sends, after the ramp; "forever" until Ctrl-C'),
  row('--seed', 'n', '1', 'decides times, values and phases; the same seed is the same fleet'),
  row('--token', 'token', null, 'API token: devices get tokens of their own, and the log is checked at the end'),
  row('--ramp', 'rate', '500/s', 'how fast the devices are switched on'),
  row('--commands-per-minute', 'n', '0', 'commands sent to random devices through the API'),
  row('--spawn-hub', null, null, 'start a hub for this run (loopback only) and stop it at the end'),
  row('--kill-after', 'time', null, 'with --spawn-hub: kill -9 the hub so long after the ramp, and start it again'),
  row('--data', 'dir', null, 'with --spawn-hub: its data folder, kept; else a fresh one, removed at the end'),
  row('--hub-command', 'command', null, 'with --spawn-hub: program and arguments, split at spaces, put before "serve"'),
  row('--cuts', 'percent', null, 'a bad link: of what passes between devices and hub, so much is cut, such as 20%'),
  row('--drain', 'time', '15s', 'how long to wait for outstanding acknowledgements at the end'),
  row('--no-verify', null, null, 'do not hold the log of the hub against the ledger'),
  row('--json', null, null, 'final report as JSON on stdout'),
] as const satisfies readonly SimOptionRow[];

/** An option cannot be used; the message names it, says what it was and what would do. */
export class SimOptionError extends Error {
  override readonly name = 'SimOptionError';
}

/** Raw options as commander gives them: keys in camelCase without dashes, `verify: false` for `--no-verify`. */
export type RawSimOptions = Readonly<Record<string, string | boolean | undefined>>;

/** Reads raw options, with the table's defaults for what is absent. Throws SimOptionError. */
export function parseSimOptions(raw: RawSimOptions): SimOptions {
  refuseUnknown(raw);
  const spawnHub = switched(raw, 'spawnHub');
  const durationText = text(raw, 'duration', '--duration');
  const killAfter = raw['killAfter'];
  const options: SimOptions = {
    url: readUrl(text(raw, 'url', '--url'), spawnHub),
    devices: whole(text(raw, 'devices', '--devices'), '--devices', 1, MAX_DEVICES),
    mix: readFleet(raw),
    intervalMs: span(text(raw, 'interval', '--interval'), '--interval', MIN_INTERVAL_MS),
    durationMs: durationText === 'forever' ? Infinity : span(durationText, '--duration', 1),
    seed: whole(text(raw, 'seed', '--seed'), '--seed', 0, 0xffff_ffff),
    token: readToken(raw['token']),
    rampPerSecond: readRate(text(raw, 'ramp', '--ramp')),
    commandsPerMinute: whole(
      text(raw, 'commandsPerMinute', '--commands-per-minute'),
      '--commands-per-minute',
      0,
      60_000,
    ),
    spawnHub,
    killAfterMs: killAfter === undefined ? null : span(String(killAfter), '--kill-after', 0),
    dataDir: optional(raw['data']),
    hubCommand: readCommand(optional(raw['hubCommand'])),
    cuts: readCuts(optional(raw['cuts'])),
    verify: raw['verify'] !== false,
    drainMs: span(text(raw, 'drain', '--drain'), '--drain', 0),
    json: switched(raw, 'json'),
  };
  refuseContradictions(options);
  return options;
}

/** 200,000 devices are 200,000 sockets on ten loopback addresses; past it one process is the bottleneck, not the hub. */
const MAX_DEVICES = 200_000;
/** Below it the shared 10 ms tick would send in clumps. */
const MIN_INTERVAL_MS = 20;

/** Above it no handshake gets through any more, and nothing would be shown. */
const MAX_CUTS = 0.5;

function refuseContradictions(options: SimOptions): void {
  if (!options.spawnHub) {
    for (const [flag, value] of [
      ['--kill-after', options.killAfterMs],
      ['--data', options.dataDir],
      ['--hub-command', options.hubCommand],
    ] as const) {
      if (value !== null)
        throw new SimOptionError(`${flag} needs --spawn-hub: only a hub that this run started is ours`);
    }
  }
  if (options.killAfterMs !== null && options.killAfterMs >= options.durationMs) {
    throw new SimOptionError('--kill-after must be shorter than --duration, or the hub would never be killed');
  }
  if (options.cuts !== null && !options.url.startsWith('ws:')) {
    throw new SimOptionError('--cuts needs a ws:// address: the link has no certificate of the hub');
  }
  if (options.commandsPerMinute > 0 && options.token === null && !options.spawnHub) {
    throw new SimOptionError('--commands-per-minute needs --token (or --spawn-hub): commands go through the API');
  }
}

function readUrl(value: string, spawnHub: boolean): string {
  const url = URL.parse(value);
  if (url === null || (url.protocol !== 'ws:' && url.protocol !== 'wss:')) {
    throw new SimOptionError(`--url must be a ws:// or wss:// address such as ws://127.0.0.1:8080, not "${value}"`);
  }
  if (spawnHub && (url.protocol !== 'ws:' || !isLoopback(url.hostname))) {
    throw new SimOptionError(
      `--spawn-hub starts a hub on this machine: --url must be ws://127.0.0.1:PORT, not "${value}"`,
    );
  }
  if (!spawnHub && url.port === '0') throw new SimOptionError('--url with port 0 needs --spawn-hub');
  return value;
}

/** A loopback host as it stands in a URL. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function readFleet(raw: RawSimOptions): ProtocolMix {
  const names = optional(raw['protocols']);
  if (names === null) return readMix(text(raw, 'mix', '--mix'));
  if (optional(raw['mix']) !== null)
    throw new SimOptionError('--mix and --protocols say the same thing: give one of them');
  const mix = noneByProtocol();
  for (const name of names.split(',').map((part) => part.trim())) {
    if (!isProtocol(name)) {
      throw new SimOptionError(`--protocols must be names of ${SIM_PROTOCOLS.join(', ')}, with commas, not "${names}"`);
    }
    mix[name] = 1;
  }
  return mix;
}

function readMix(value: string): ProtocolMix {
  const mix = noneByProtocol();
  for (const part of value.split(',')) {
    const [name, share, ...rest] = part.trim().split('=');
    if (name === undefined || share === undefined || rest.length > 0 || !isProtocol(name) || !/^\d{1,6}$/.test(share)) {
      throw new SimOptionError(
        `--mix must read like mqtt=60,stomp=20,cbor=20 with names of ${SIM_PROTOCOLS.join(', ')} and whole shares, not "${value}"`,
      );
    }
    mix[name] += Number(share);
  }
  if (SIM_PROTOCOLS.every((protocol) => mix[protocol] === 0)) throw new SimOptionError('--mix has no share above 0');
  return mix;
}

function isProtocol(name: string): name is SimProtocol {
  return (SIM_PROTOCOLS as readonly string[]).includes(name);
}

function readToken(value: string | boolean | undefined): string | null {
  const token = optional(value);
  if (token !== null && !/^mst_[0-9a-f]+_[A-Za-z0-9_-]+$/.test(token)) {
    throw new SimOptionError('--token must look like mst_<key id>_<secret>, as the hub printed it at its first start');
  }
  return token;
}

function readRate(value: string): number {
  const match = /^(\d{1,6})(?:\/s)?$/.exec(value);
  const rate = Number(match?.[1] ?? 0);
  if (rate < 1) throw new SimOptionError(`--ramp must be devices per second such as 200/s, not "${value}"`);
  return rate;
}

function readCuts(value: string | null): number | null {
  if (value === null) return null;
  const percent = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(value);
  const share = percent === null ? NaN : Number(percent[1]) / 100;
  if (!(share <= MAX_CUTS)) {
    throw new SimOptionError(`--cuts must be a share from 0% to ${MAX_CUTS * 100}% such as 20%, not "${value}"`);
  }
  return share;
}

function readCommand(value: string | null): readonly string[] | null {
  if (value === null) return null;
  const parts = value.split(/\s+/).filter((part) => part !== '');
  if (parts.length === 0) throw new SimOptionError('--hub-command is empty');
  return parts;
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A time with its unit, in whole milliseconds. */
function span(value: string, flag: string, minMs: number): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(value);
  if (match === null) {
    throw new SimOptionError(`${flag} must be a number with a unit (ms, s, m, h) such as 10s, not "${value}"`);
  }
  const ms = Math.round(Number(match[1]) * UNITS_MS[match[2]!]!);
  if (ms < minMs) throw new SimOptionError(`${flag} must be at least ${minMs} ms, not "${value}"`);
  return ms;
}

function whole(value: string, flag: string, low: number, high: number): number {
  const number = /^\d{1,12}$/.test(value) ? Number(value) : NaN;
  if (!(number >= low && number <= high)) {
    throw new SimOptionError(`${flag} must be a whole number from ${low} to ${high}, not "${value}"`);
  }
  return number;
}

/** The value of a flag with a default. */
function text(raw: RawSimOptions, key: string, flag: (typeof SIM_OPTION_TABLE)[number]['flag']): string {
  const value = raw[key] ?? SIM_OPTION_TABLE.find((option) => option.flag === flag)?.default;
  if (typeof value !== 'string') throw new SimOptionError(`${flag} needs a value`);
  return value;
}

function optional(value: string | boolean | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function switched(raw: RawSimOptions, key: string): boolean {
  return raw[key] === true || raw[key] === 'true';
}

function refuseUnknown(raw: RawSimOptions): void {
  const known = new Set(SIM_OPTION_TABLE.map((option) => optionKey(option.flag)));
  for (const key of Object.keys(raw)) {
    if (!known.has(key)) throw new SimOptionError(`"${key}" is no option of the simulator`);
  }
}

/** The key under which commander gives the value of a flag: `--kill-after` → `killAfter`, `--no-verify` → `verify`. */
export function optionKey(flag: string): string {
  return flag.replace(/^--(no-)?/, '').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function row<F extends string>(flag: F, value: string | null, defaultText: string | null, help: string) {
  return { flag, value, default: defaultText, help } as const;
}
