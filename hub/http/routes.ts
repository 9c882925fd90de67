import type { ApiLimits } from './limits.ts';
import type { Route } from './route.ts';
import { commandRoutes } from './routes/commands.ts';
import { connectionRoutes } from './routes/connections.ts';
import { deviceRoutes } from './routes/devices.ts';
import { exportRoutes } from './routes/export-log.ts';
import { historyRoutes } from './routes/history.ts';
import { readingRoutes } from './routes/readings.ts';
import { statusRoutes } from './routes/status.ts';
import { tokenRoutes } from './routes/tokens.ts';

/** Every operation of the HTTP interface. `docs/api.md` lists the same ones (tested). */
export function allRoutes(limits: ApiLimits): readonly Route[] {
  return [
    ...deviceRoutes(limits),
    ...tokenRoutes(),
    ...readingRoutes(limits),
    ...exportRoutes(limits),
    ...historyRoutes(limits),
    ...commandRoutes(limits),
    ...connectionRoutes(limits),
    ...statusRoutes(),
  ];
}
