import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { until } from '../support/hub.ts';
import { newDevice } from '../integration/clients/hub-view.ts';
import { mqttDevice } from '../integration/clients/mqtt.ts';
import { hasChromium } from './support/chromium.ts';
import { Console, numberIn, untilText } from './support/dashboard.ts';
import { playFleet, simulated } from './support/fleet.ts';

const DEVICES = 300;

/** Text of what the keyboard is on. */
function inFocus(page: Page): Promise<string> {
  return page.evaluate('document.activeElement.textContent');
}

describe.skipIf(!hasChromium())('the page of the fleet', { timeout: 60_000 }, () => {
  const desk = new Console();

  it('says how the first device connects, and shows it as soon as it has', async () => {
    const page = await desk.open();
    await page.getByRole('heading', { name: 'No device has connected yet' }).waitFor();
    await page.getByText(`ws://127.0.0.1:${desk.hub.port}`, { exact: true }).waitFor();
    // As in a page without TLS from another machine.
    await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })");
    await page.getByRole('button', { name: 'Copy: Play a fleet' }).click();
    await page.getByText('Select it').waitFor();
    const device = await mqttDevice(desk.hub, await newDevice(desk.hub, 'first'));
    await device.publish('devices/me/telemetry', { temp: 21.5 });
    const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'first' }) });
    await row.getByText('Online', { exact: true }).waitFor();
    await row.getByText('21.5').waitFor();
    await desk.hub.api('DELETE', '/api/v1/devices/first');
    await page.getByRole('heading', { name: 'No device has connected yet' }).waitFor();
  });

  it(`shows ${DEVICES} devices come and go, and their counts are those of the hub`, async () => {
    const page = await desk.open();
    const online = page.getByTestId('online');
    const rows = page.getByRole('grid', { name: 'Devices' });
    const fleet = playFleet(desk.hub, DEVICES);
    try {
      await until('all are online', async () => (await numberIn(online)) === DEVICES, 30_000);
      await until('all are listed', async () => (await rows.getAttribute('aria-rowcount')) === String(DEVICES + 1));
      await untilText(page.getByRole('listitem').filter({ hasText: 'MQTT' }), /180/);
      const figures = page.getByRole('region', { name: 'The fleet in figures' });
      await untilText(figures, /Messages\s+2\d\d|Messages\s+3\d\d/);
      await untilText(figures, /p99\s+[\d.]+\s+ms/);
      const { body } = await desk.hub.api('GET', '/api/v1/fleet?limit=1');
      expect(body.counts).toEqual({ online: DEVICES, offline: 0, byProtocol: { mqtt: 180, stomp: 60, cbor: 60 } });
      // Only what can be seen is in the page.
      expect(await page.getByRole('row').count()).toBeLessThan(80);
    } finally {
      await fleet.stop();
    }
    await until('all are offline', async () => (await numberIn(online)) === 0, 30_000);
    await untilText(page.getByTestId('offline'), String(DEVICES));
    await page
      .getByRole('row')
      .filter({ hasText: simulated(1) })
      .getByText('client disconnect')
      .waitFor();
  });

  it('finds devices as one types, by state and by protocol, and the address says so', async () => {
    const page = await desk.open();
    const grid = page.getByRole('grid', { name: 'Devices' });
    const rowCount = async (): Promise<number> => Number(await grid.getAttribute('aria-rowcount')) - 1;
    await until('the fleet', async () => (await rowCount()) === DEVICES);

    await page.getByLabel('Filter by id or name').pressSequentially('0029');
    await until('those whose id has it', async () => (await rowCount()) === 11);
    await page.waitForURL('**/dashboard/?q=0029');
    await page.getByRole('group', { name: 'Protocol' }).getByRole('button', { name: 'STOMP' }).click();
    await until('fewer', async () => (await rowCount()) < 11);
    const found = await rowCount();
    await page.waitForURL('**/dashboard/?q=0029&protocol=stomp');

    await page.reload();
    await until('the same after a reload', async () => (await rowCount()) === found);
    expect(await page.getByLabel('Filter by id or name').inputValue()).toBe('0029');

    await page
      .getByRole('link', { name: /^sim-7-/ })
      .first()
      .click();
    await page.waitForURL('**/dashboard/devices/sim-7-*');
    await page.goBack();
    await until('the same after coming back', async () => (await rowCount()) === found);

    await page.getByRole('group', { name: 'State' }).getByRole('button', { name: 'Online' }).click();
    await until('none is online', async () => (await rowCount()) === 0);
    await page.getByRole('button', { name: 'Show all devices' }).click();
    await until('all again', async () => (await rowCount()) === DEVICES);
    await page.waitForURL('**/dashboard/');
  });

  it('sorts by what a column says, in both directions', async () => {
    const page = await desk.open();
    const first = page.getByRole('link', { name: /^sim-7-/ }).first();
    await untilText(first, simulated(1));
    const head = page.getByRole('columnheader', { name: 'Device' });
    await head.getByRole('button').click();
    await untilText(first, simulated(DEVICES));
    expect(await head.getAttribute('aria-sort')).toBe('descending');
    await page.waitForURL('**/dashboard/?sort=-id');
  });

  it('can be used by keyboard alone', async () => {
    const page = await desk.open();
    await page.getByRole('link', { name: simulated(1) }).waitFor();
    await page.keyboard.press('Tab');
    expect(await inFocus(page)).toBe('Skip to content');
    await page.keyboard.press('/');
    await page.keyboard.type('sim-7-0010');
    await until('ten', async () => (await page.getByRole('grid').getAttribute('aria-rowcount')) === '11');
    await page.keyboard.press('ArrowDown');
    await until('the first row', async () => (await inFocus(page)) === simulated(100));
    await page.keyboard.press('ArrowDown');
    await until('the second row', async () => (await inFocus(page)) === simulated(101));
    await page.keyboard.press('End');
    await until('the last row', async () => (await inFocus(page)) === simulated(109));
    await page.keyboard.press('Enter');
    await page.waitForURL(`**/dashboard/devices/${simulated(109)}`);
    await page.getByRole('heading', { name: simulated(109) }).waitFor();
  });
});
