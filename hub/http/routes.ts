import { deviceRequestRoutes } from './device/routes.ts';
import type { ApiLimits } from './limits.ts';
import { openapiDocument } from './openapi/document.ts';
import type { Route } from './route.ts';
import { commandRoutes } from './routes/commands.ts';
import { connectionRoutes } from './routes/connections.ts';
import { deviceTokenRoutes } from './routes/device-tokens.ts';
import { deviceRoutes } from './routes/devices.ts';
import { exportRoutes } from './routes/export-log.ts';
import { fleetRoutes } from './routes/fleet.ts';
import { historyRoutes } from './routes/history.ts';
import { jobRoutes } from './routes/jobs.ts';
import { liveRoutes } from './routes/live.ts';
import { openapiRoutes } from './routes/openapi.ts';
import { operatorRoutes } from './routes/operators.ts';
import { queueRoutes } from './routes/queues.ts';
import { readingRoutes } from './routes/readings.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { signInRoutes } from './routes/sign-in.ts';
import { statusRoutes } from './routes/status.ts';
import { tokenRoutes } from './routes/tokens.ts';

/** What of the hub's configuration changes the interface itself. */
export interface RouteOptions {
  readonly metricsNeedToken: boolean;
  readonly version: string;
}

export interface Interface {
  /** Every operation. `docs/api.md` lists the same ones (tested). */
  readonly routes: readonly Route[];
  /** The OpenAPI document of these operations, made when it is first asked for. */
  readonly document: () => object;
}

/** The HTTP interface. Each call makes operations with a memory of their own. */
export function httpInterface(limits: ApiLimits, { metricsNeedToken, version }: RouteOptions): Interface {
  let made: object | null = null;
  const document = (): object => (made ??= openapiDocument(routes, version));
  const routes: readonly Route[] = [
    ...deviceRoutes(limits),
    ...deviceTokenRoutes(limits),
    ...fleetRoutes(limits),
    ...readingRoutes(limits),
    ...exportRoutes(limits),
    ...historyRoutes(limits),
    ...commandRoutes(limits),
    ...connectionRoutes(limits),
    ...sessionRoutes(limits),
    ...queueRoutes(limits),
    ...liveRoutes(),
    ...signInRoutes(),
    ...operatorRoutes(limits),
    ...tokenRoutes(limits),
    ...jobRoutes(limits),
    ...deviceRequestRoutes(),
    ...openapiRoutes(document),
    ...statusRoutes(metricsNeedToken),
  ];
  return { routes, document };
}
