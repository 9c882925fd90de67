import type { Page } from 'playwright-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { newDevice } from '../integration/clients/hub-view.ts';
import { mqttConnect } from '../integration/clients/mqtt.ts';
import { offer } from '../integration/clients/upgrade.ts';
import { auditOf } from './support/audit.ts';
import { hasChromium } from './support/chromium.ts';
import { Console, type Look } from './support/dashboard.ts';

/** As the browser's resource timing tells it. */
interface Loaded {
  readonly name: string;
  readonly encodedBodySize: number;
  readonly decodedBodySize: number;
}

/** What a browser may have to load before the fleet is shown, compressed. */
const FIRST_LOAD_BYTES = 150 * 1024;

describe.skipIf(!hasChromium())('every page', { timeout: 60_000 }, () => {
  const desk = new Console();

  beforeAll(async () => {
    for (const id of [
      'oven-1',
      'oven-2',
      'a-device-with-a-rather-long-name.of-the-second-line.in-the-north-hall.0001',
    ]) {
      await newDevice(desk.hub, id);
    }
    await desk.hub.api('PATCH', '/api/v1/devices/oven-2', { disabled: true });
    const password = await newDevice(desk.hub, 'pump');
    const device = await mqttConnect(desk.hub.wsUrl, { username: 'pump', password });
    await device.publish('devices/me/telemetry', {
      temp: 21.5,
      mode: 'eco',
      open: true,
      'a/very/long/metric/name': 1234.5678,
    });
    await device.publish('devices/me/telemetry', 'no JSON');
    await device.client.endAsync();
    await desk.hub.api('POST', '/api/v1/devices/pump/commands', { name: 'reboot', params: { delay: 5 } });
    await offer(desk.hub.port, 'mqttv5');
  });

  const PAGES: readonly [string, (look: Look) => Promise<Page>][] = [
    [
      'the fleet',
      async (look) => {
        const page = await desk.open('', look);
        await page.getByRole('link', { name: 'pump' }).waitFor();
        await page.getByText('p99').first().waitFor();
        return page;
      },
    ],
    [
      'the fleet when nothing is found',
      async (look) => {
        const page = await desk.open('?q=nothing', look);
        await page.getByText('No device is like this').waitFor();
        return page;
      },
    ],
    [
      'a device',
      async (look) => {
        const page = await desk.open('devices/pump?tab=rejected', look);
        await page.getByRole('figure', { name: /^temp/ }).waitFor();
        await page.getByText('reboot', { exact: true }).click();
        await page.getByText('malformed payload').click();
        return page;
      },
    ],
    [
      'a device that is not there',
      async (look) => {
        const page = await desk.open('devices/nobody', look);
        await page.getByRole('heading', { name: 'There is no such device' }).waitFor();
        return page;
      },
    ],
    [
      'refused handshakes',
      async (look) => {
        const page = await desk.open('refused', look);
        await page.getByRole('article').waitFor();
        return page;
      },
    ],
    [
      'the sign-in',
      async (look) => {
        const page = await desk.stranger(look);
        await page.goto(`${desk.url}/sign-in`);
        await page.getByLabel('Name').waitFor();
        return page;
      },
    ],
  ];

  describe.each(PAGES)('%s', (_, show) => {
    it.each(['light', 'dark'] as const)('can be read and used by everybody, in %s', async (colours) => {
      const page = await show({ colours });
      expect(await auditOf(page)).toEqual([]);
    });

    it('fits a narrow screen', async () => {
      const page = await show({ width: 390, height: 844 });
      const width = await page.evaluate<number>('document.scrollingElement.scrollWidth');
      expect(width).toBeLessThanOrEqual(390);
      expect(await auditOf(page)).toEqual([]);
    });
  });

  it('the switch of colours wins over the system, and is remembered', async () => {
    const page = await desk.open('', { colours: 'light' });
    const background = () => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    const light = await background();
    await page.getByRole('button', { name: /^Colours/ }).click();
    await page.getByRole('button', { name: 'Colours: light' }).click();
    await page.getByRole('button', { name: 'Colours: dark' }).waitFor();
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.reload();
    await page.getByRole('button', { name: 'Colours: dark' }).waitFor();
    expect(await background()).toBe(dark);
  });

  it(`the first one needs less than ${FIRST_LOAD_BYTES / 1024} KiB, and no charts`, async () => {
    const page = await desk.open();
    await page.getByRole('link', { name: 'pump' }).waitFor();
    const loaded = await page.evaluate<Loaded[]>(
      `['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind)).map((entry) => entry.toJSON())`,
    );
    const files = loaded.filter(({ name }) => name.includes('/dashboard/'));
    expect(files.length).toBeGreaterThan(2);
    for (const file of files.filter(({ name }) => /\.(js|css)$/.test(name))) {
      expect(file.encodedBodySize, file.name).toBeLessThan(file.decodedBodySize);
    }
    expect(files.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)).toBeLessThan(FIRST_LOAD_BYTES);
    expect(files.filter(({ name }) => /device/.test(name))).toEqual([]);
  });
});
