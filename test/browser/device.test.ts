import { describe, expect, it } from 'vitest';
import { newDevice } from '../integration/clients/hub-view.ts';
import { mqttConnect, mqttDevice } from '../integration/clients/mqtt.ts';
import { afterThisTest } from '../integration/clients/opened.ts';
import { until } from '../support/hub.ts';
import { Cable } from './support/cable.ts';
import { hasChromium } from './support/chromium.ts';
import { Console, untilText } from './support/dashboard.ts';

const PING_INTERVAL_MS = 1000;
const PONG_TIMEOUT_MS = 500;
/** Resolution of the deadlines, and what a browser on a busy machine adds. */
const SLACK_MS = 3000;

describe.skipIf(!hasChromium())('the page of a device', { timeout: 60_000 }, () => {
  const desk = new Console({ pingIntervalMs: PING_INTERVAL_MS, pongTimeoutMs: PONG_TIMEOUT_MS });

  it('shows values as they come, and a chart of each number', async () => {
    const device = await mqttDevice(desk.hub, await newDevice(desk.hub, 'meter'));
    await device.publish('devices/me/telemetry', { temp: 20.25, mode: 'eco' });
    const page = await desk.open('devices/meter');
    await page.getByRole('heading', { name: 'meter' }).waitFor();
    await page.getByRole('status').getByText('Online', { exact: true }).waitFor();
    const values = page.getByRole('region', { name: 'Latest values' });
    await values.getByRole('row', { name: /mode/ }).getByText('eco').waitFor();
    const chart = page.getByRole('figure', { name: /^temp/ });
    await untilText(chart, /20\.25/);
    await device.publish('devices/me/telemetry', { temp: 23.5, load: 7 });
    await untilText(chart, /20\.25 to 23\.5/);
    await values.getByRole('row', { name: /temp/ }).getByText('23.5').waitFor();
    await page.getByRole('figure', { name: /^load/ }).waitFor();
    expect(await page.getByRole('figure', { name: /^mode/ }).count()).toBe(0);
    // What was drawn is more than an empty canvas.
    const drawn = chart.locator('canvas').evaluate((canvas) => {
      const { width, height } = canvas as unknown as { width: number; height: number };
      const context = (canvas as any).getContext('2d');
      return (context.getImageData(0, 0, width, height).data as Uint8ClampedArray).some((byte) => byte !== 0);
    });
    expect(await drawn).toBe(true);
  });

  it('shows the unit beside the metric, also when it comes later, as text and never as markup', async () => {
    const device = await mqttDevice(desk.hub, await newDevice(desk.hub, 'unit'));
    await device.publish('devices/me/telemetry/senml-json', [
      { n: 'temp', u: 'Cel', v: 20 },
      { n: 'hum', v: 5 },
    ]);
    const page = await desk.open('devices/unit');
    const row = (name: RegExp) => page.getByRole('region', { name: 'Latest values' }).getByRole('row', { name });
    await row(/temp/).getByText('Cel').waitFor();
    await device.publish('devices/me/telemetry/senml-json', [{ n: 'hum', u: '<b>%RH</b>', v: 6 }]);
    await row(/hum/).getByText('<b>%RH</b>').waitFor();
    // A value without a unit leaves the one that is known.
    await device.publish('devices/me/telemetry', { temp: 21 });
    await row(/temp/).getByText('21').waitFor();
    await row(/temp/).getByText('Cel').waitFor();
  });

  it('sends a command and shows it succeed, in its states', async () => {
    const device = await mqttDevice(desk.hub, await newDevice(desk.hub, 'worker'));
    const page = await desk.open('devices/worker');
    await page.getByLabel('Command', { exact: true }).fill('reboot');
    await page.getByLabel('Parameters, as JSON').fill('{"delay": 5');
    await page.getByRole('button', { name: 'Send command' }).click();
    await until('the mistake is shown', async () => (await page.locator('[aria-invalid="true"]').count()) === 1);
    await page.getByLabel('Parameters, as JSON').fill('{"delay": 5}');
    await page.getByRole('button', { name: 'Send command' }).click();
    const item = page.getByRole('listitem').filter({ hasText: 'reboot' });
    // It waits until the device subscribes.
    await item.getByText('queued').first().waitFor();
    await device.subscribe('devices/me/commands/#');
    await item.getByText('received').first().waitFor();
    const [message] = await device.gets(1);
    expect(JSON.parse(message!.payload)).toEqual({ delay: 5 });
    await device.publish(message!.topic.replace(/[^/]+$/, 'result'), { status: 'succeeded', value: { up: true } });
    await item.getByText('succeeded').first().waitFor();
    await item.getByText('reboot').click();
    await untilText(item, /"up": true/);
    await untilText(item, /queued[\s\S]*sent[\s\S]*received[\s\S]*succeeded/);
  });

  it('shows a device whose network goes dead as offline within the limit, with the reason', async () => {
    const cable = await Cable.to(desk.hub.port);
    afterThisTest(() => cable.close());
    const password = await newDevice(desk.hub, 'half-open');
    await mqttConnect(cable.wsUrl, { username: 'device', password });
    const page = await desk.open('devices/half-open');
    const state = page.getByRole('status').first();
    await untilText(state, 'Online');
    cable.goDead();
    const startMs = performance.now();
    await untilText(state, 'Offline');
    expect(performance.now() - startMs).toBeLessThan(PING_INTERVAL_MS + PONG_TIMEOUT_MS + SLACK_MS);
    await page.getByText('ping timeout').first().waitFor();
    const history = page.getByRole('tabpanel', { name: 'Connections' });
    await history.getByText('ping timeout').first().waitFor();
  });

  it('shows which payloads were rejected, with their bytes and why', async () => {
    const device = await mqttDevice(desk.hub, await newDevice(desk.hub, 'mumbler'));
    await device.publish('devices/me/telemetry', 'temp is 21');
    const page = await desk.open('devices/mumbler?tab=rejected');
    const panel = page.getByRole('tabpanel', { name: /Rejected payloads/ });
    await panel.getByText('temp is 21').first().click();
    await untilText(panel, /MQTT, on\s+devices\/mumbler\/telemetry/);
    await untilText(panel, /JSON/);
    await panel.getByRole('button', { name: 'Hex' }).click();
    await untilText(panel.getByLabel('Payload'), /74 65 6d 70/);
  });

  it('offers no form to a viewer', async () => {
    await newDevice(desk.hub, 'looked-at');
    const page = await desk.open('devices/looked-at', { role: 'viewer' });
    await page.getByText('Sending needs the role operator').waitFor();
    expect(await page.getByRole('button', { name: 'Send command' }).count()).toBe(0);
  });

  it('says that a device does not exist, and that it was deleted', async () => {
    await newDevice(desk.hub, 'short-lived');
    const page = await desk.open('devices/nobody');
    await page.getByRole('heading', { name: 'There is no such device' }).waitFor();
    await page.goto(`${desk.url}/dashboard/devices/short-lived`);
    await page.getByRole('heading', { name: 'short-lived' }).waitFor();
    await desk.hub.api('DELETE', '/api/v1/devices/short-lived');
    await page.getByRole('heading', { name: 'This device was deleted' }).waitFor();
  });
});
