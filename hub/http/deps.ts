import type { Clock } from '#hub/clock.js';
import type { Config } from '#hub/config.js';
import type { Commands, Devices, Operators, Tokens } from '#hub/fleet/port.js';
import type { HttpDevices } from '#hub/gateway/http/port.js';
import type { Gateway } from '#hub/gateway/port.js';
import type { Jobs } from '#hub/jobs/port.js';
import type { LiveFeed } from '#hub/live/port.js';
import type { Log } from '#hub/observe/log.js';
import type { Metrics } from '#hub/observe/metrics.js';
import type { Queues } from '#hub/queues/port.js';
import type { Sessions } from '#hub/sessions/port.js';
import type { StoreReader } from '#hub/store/port.js';
import type { Telemetry } from '#hub/telemetry/port.js';
import type { ApiLimits } from './limits.ts';

/** What the HTTP interface needs of the hub. */
export interface HubApi {
  readonly devices: Devices;
  readonly commands: Commands;
  readonly telemetry: Pick<Telemetry, 'latest' | 'health' | 'backlog'>;
  readonly gateway: Gateway;
  readonly httpDevices: HttpDevices;
  readonly sessions: Sessions;
  readonly queues: Pick<Queues, 'list' | 'delete'>;
  readonly reader: StoreReader;
  readonly metrics: Metrics;
  readonly operators: Operators;
  readonly tokens: Tokens;
  readonly jobs: Pick<Jobs, 'list' | 'run'>;
  readonly live: LiveFeed;
  /** Folder of the built dashboard; it may not be there. */
  readonly dashboard: string;
  /** `starting` until devices and tokens are loaded, `stopping` from the first signal on. */
  readonly phase: () => 'starting' | 'running' | 'stopping';
  readonly config: Pick<Config, 'rangeBudgetMs' | 'metricsNeedToken' | 'paths' | 'apiRequestsPerMinute'>;
  readonly limits: ApiLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly version: string;
  /** Start of this run, milliseconds since 1970. */
  readonly startedMs: number;
}
