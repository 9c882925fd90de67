import * as z from 'zod';
import { closeReason, initiator, instant, ms, pageOf, us, wholeNumber } from './common.ts';
import { named } from './named.ts';

export const presence = named(
  'Presence',
  z.object({
    online: z.boolean(),
    epoch: wholeNumber.describe('Number of its last connection; 0: it never connected'),
    protocol: z.string().nullable(),
    connectedMs: ms.nullable(),
    connected: instant.nullable(),
    disconnectedMs: ms.nullable(),
    disconnected: instant.nullable(),
    reason: closeReason.nullable(),
    reasonText: z.string().nullable(),
    initiator: initiator.nullable(),
  }),
);

export const device = named(
  'Device',
  z.object({
    id: z.string(),
    name: z.string().nullable(),
    protocols: z.array(z.string()).readonly().nullable().describe('Protocol families it may use; null: all'),
    disabled: z.boolean(),
    createdUs: us,
    created: instant,
    presence,
  }),
);

export const devicePage = pageOf('DevicePage', device);

export const createdDevice = named(
  'CreatedDevice',
  z.object({ device, token: z.string().describe('Its first token, shown this once') }),
);

export const issuedToken = named(
  'IssuedDeviceToken',
  z.object({ keyId: z.string(), token: z.string().describe('Shown this once') }),
);

export const deviceToken = named('DeviceToken', z.object({ keyId: z.string(), createdMs: ms, created: instant }));

export const deviceTokenPage = pageOf('DeviceTokenPage', deviceToken);
