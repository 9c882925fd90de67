import { request } from 'node:http';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { command, newDevice } from '../integration/clients/hub-view.ts';
import { mqttDevice } from '../integration/clients/mqtt.ts';
import { hasChromium } from './support/chromium.ts';
import { Console } from './support/dashboard.ts';

/** Short enough to be shown whole in the table. */
const EVIL = `<img src=x onerror="document.title='owned'">`;

describe.skipIf(!hasChromium())('text that a device chose', { timeout: 60_000 }, () => {
  const desk = new Console();

  /** It is there as it was written, and no element came of it. */
  async function isText(page: Page, what: string): Promise<void> {
    await page.getByText(what).filter({ visible: true }).first().waitFor();
    await isNoMarkup(page);
  }

  async function isNoMarkup(page: Page): Promise<void> {
    expect(await page.locator('body img, body script, body iframe, body [onerror]').count()).toBe(0);
    expect(await page.title()).not.toBe('owned');
  }

  it('is text wherever it stands', async () => {
    const token = await newDevice(desk.hub, 'evil');
    await desk.hub.api('PATCH', '/api/v1/devices/evil', { name: EVIL });
    const device = await mqttDevice(desk.hub, token, { clientId: `evil ${EVIL}` });
    await device.publish('devices/me/telemetry', { [`${EVIL} metric`]: 1, text: `${EVIL} value` });
    await device.publish('devices/me/telemetry', `${EVIL} payload`);
    await device.publish(`devices/me/events/alert`, `${EVIL} event`);
    await device.subscribe('devices/me/commands/#');
    device.client.on('message', (topic) => {
      const answer = JSON.stringify({ status: 'failed', value: `${EVIL} result` });
      device.client.publish(topic.replace(/[^/]+$/, 'result'), answer, { qos: 1 });
    });
    await command(desk.hub, 'evil', 'run', { code: `${EVIL} params` });

    const page = await desk.open();
    await isText(page, EVIL);
    await isText(page, `${EVIL} value`);
    await page.getByRole('link', { name: 'evil' }).click();
    for (const part of ['metric', 'value']) await isText(page, `${EVIL} ${part}`);
    await page.getByText('run', { exact: true }).click();
    // In JSON the quotes have a backslash before them.
    await isText(page, JSON.stringify(`${EVIL} result`));
    await page.getByRole('tab', { name: /Rejected payloads/ }).click();
    await page.getByRole('tabpanel').getByRole('listitem').locator('summary').click();
    await isText(page, `${EVIL} payload`);
    await page.getByRole('tab', { name: /Events/ }).click();
    await page.getByRole('tabpanel').getByRole('listitem').first().waitFor();
    await isText(page, 'alert');
  });

  it('hides nothing in the table: what turns the direction of text around is shown', async () => {
    const token = await newDevice(desk.hub, 'turned');
    await desk.hub.api('PATCH', '/api/v1/devices/turned', { name: 'pump\u202e1' });
    const device = await mqttDevice(desk.hub, token);
    await device.publish('devices/me/telemetry', { mode: 'on\u202eff' });
    const page = await desk.open('?q=turned');
    await page.getByText('pump⟨U+202E⟩1').waitFor();
    await page.getByText('on⟨U+202E⟩ff').waitFor();
  });

  it('that was never let in as well', async () => {
    await new Promise<void>((resolve, reject) => {
      const headers = {
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
        'sec-websocket-protocol': EVIL,
        'user-agent': `${EVIL} agent`,
      };
      const asked = request({ host: '127.0.0.1', port: desk.hub.port, path: `/?${encodeURI(EVIL)}`, headers });
      asked.on('response', (answer) => answer.resume().on('end', resolve)).on('error', reject);
      asked.end();
    });
    const page = await desk.open('refused');
    await isText(page, EVIL);
    await isText(page, `${EVIL} agent`);
  });

  it('in the address as well', async () => {
    const page = await desk.open(`?q=${encodeURIComponent(`${EVIL} query`)}`);
    await page.getByText('No device is like this').waitFor();
    await isText(page, `${EVIL} query`);
    await page.goto(`${desk.url}/dashboard/devices/${encodeURIComponent(EVIL)}`);
    await page.getByRole('main').getByRole('heading').first().waitFor();
    await isNoMarkup(page);
  });
});
