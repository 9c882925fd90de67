import { describe, expect, it } from 'vitest';
import { newDevice } from '../integration/clients/hub-view.ts';
import { mqttDevice } from '../integration/clients/mqtt.ts';
import { until } from '../support/hub.ts';
import { hasChromium } from './support/chromium.ts';
import { Console, numberIn, untilText } from './support/dashboard.ts';

describe.skipIf(!hasChromium())('a restart of the hub', { timeout: 60_000 }, () => {
  const desk = new Console();

  it('is said while it lasts, nothing looks live meanwhile, and then everything is as it is', async () => {
    const token = await newDevice(desk.hub, 'pump');
    const before = await mqttDevice(desk.hub, token);
    await before.publish('devices/me/telemetry', { temp: 1 });
    const page = await desk.open();
    const row = page.getByRole('row').filter({ has: page.getByRole('link', { name: 'pump' }) });
    await row.getByText('Online', { exact: true }).waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    const shell = page.locator('[data-stale]');
    expect(await shell.getAttribute('data-stale')).toBe('false');

    // Not to be missed, however short: the page notes it itself.
    await page.evaluate(`
      window.seenStates = [];
      const note = () => window.seenStates.push(document.body.innerText);
      new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
    `);
    await desk.hub.restart();
    await page.getByText('Live', { exact: true }).waitFor({ timeout: 20_000 });
    await page.locator('[data-stale="false"]').waitFor();
    const seen = await page.evaluate<string[]>('window.seenStates');
    expect(seen.some((text) => /Not live since/.test(text))).toBe(true);

    await row.getByText('Offline', { exact: true }).waitFor();
    await until('nobody is online', async () => (await numberIn(page.getByTestId('online'))) === 0);
    const after = await mqttDevice(desk.hub, token);
    await row.getByText('Online', { exact: true }).waitFor();
    await after.publish('devices/me/telemetry', { temp: 2.75 });
    await untilText(row, /2\.75/);
  });

  it('leaves nothing that looks live as long as the state cannot be taken', async () => {
    await newDevice(desk.hub, 'tank');
    const page = await desk.open();
    await page.getByRole('link', { name: 'tank' }).waitFor();
    await page.locator('[data-stale="false"]').waitFor();
    await page.route('**/api/v1/fleet*', (route) => route.fulfill({ status: 503, json: { detail: 'not now.' } }));
    await desk.hub.restart();
    await page.getByText('could not be brought up to date: not now.').waitFor({ timeout: 20_000 });
    await page.getByText('Live', { exact: true }).waitFor();
    expect(await page.locator('.app').getAttribute('data-stale')).toBe('true');
    await page.unroute('**/api/v1/fleet*');
    await page.locator('[data-stale="false"]').waitFor({ timeout: 20_000 });
    expect(await page.getByText('could not be brought up to date').count()).toBe(0);
  });

  it('on the page of a device too: its epoch, its values and its commands go on', async () => {
    const token = await newDevice(desk.hub, 'valve');
    const before = await mqttDevice(desk.hub, token);
    await before.publish('devices/me/telemetry', { open: 10 });
    const page = await desk.open('devices/valve');
    await untilText(page.getByRole('figure', { name: /^open/ }), /10/);
    await desk.hub.restart();
    const after = await mqttDevice(desk.hub, token);
    await after.publish('devices/me/telemetry', { open: 30 });
    await untilText(page.getByRole('figure', { name: /^open/ }), /10 to 30/, 20_000);
    await untilText(page.getByRole('status').first(), 'Online');
    await page.getByLabel('Command', { exact: true }).fill('close');
    await page.getByRole('button', { name: 'Send command' }).click();
    await page.getByRole('listitem').filter({ hasText: 'close' }).getByText('queued').first().waitFor();
  });
});
