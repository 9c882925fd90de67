import type * as z from 'zod';
import type * as live from '#hub/live/port.js';
import type { me } from '#hub/http/schemas/access.js';
import type { device } from '#hub/http/schemas/devices.js';
import type { fleetPage } from '#hub/http/schemas/fleet.js';
import type * as api from '../../dashboard/api.ts';
import type * as feed from '../../dashboard/live.ts';

/**
 * The dashboard writes the types of what the hub answers down by itself (`dashboard/api.ts`, `dashboard/live.ts`). Here
 * `npm run types` holds them to the hub's own: what the hub says is always what the dashboard takes it for.
 */
type Is<Said extends Taken, Taken> = [Said, Taken];

export type Held = [
  Is<z.infer<typeof me>, api.Me>,
  Is<z.infer<typeof device>, api.Device>,
  Is<z.infer<typeof fleetPage>, api.FleetPage>,
  Is<live.Figures, feed.Figures>,
  Is<live.PresenceChange, feed.PresenceChange>,
  Is<live.LatestChange, feed.LatestChange>,
  Is<live.CommandChange, feed.CommandChange>,
  Is<live.AlarmChange, feed.AlarmChange>,
];
