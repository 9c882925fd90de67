import { describe, expect, it } from 'vitest';
import { offer, upgrade } from '../integration/clients/upgrade.ts';
import { hasChromium } from './support/chromium.ts';
import { Console, untilText } from './support/dashboard.ts';

describe.skipIf(!hasChromium())('the page of refused handshakes', () => {
  const desk = new Console();

  it('says that there were none, then who offered what, why it was refused, how often, and what to change', async () => {
    const page = await desk.open('refused');
    await page.getByRole('heading', { name: 'No handshake was refused since the hub started' }).waitFor();
    for (let i = 0; i < 3; i++) await offer(desk.hub.port, 'mqttv3.1.1');
    await upgrade(desk.hub.port);
    const card = page.getByRole('article').filter({ hasText: 'mqttv3.1.1' });
    await untilText(card, /3×/);
    const text = await card.innerText();
    expect(text).toContain('unknown_subprotocol');
    expect(text).toContain('Sec-WebSocket-Protocol: mqttv3.1.1');
    expect(text).toContain('127.0.0.1');
    const { body } = await desk.hub.api('GET', '/api/v1/refused');
    const advice = body.items.find(({ offered }: { offered: string | null }) => offered === 'mqttv3.1.1')
      .advice as string;
    expect(advice.length).toBeGreaterThan(20);
    expect(text).toContain(advice.replaceAll('`', ''));

    await page
      .getByRole('group', { name: 'Show only' })
      .getByRole('button', { name: /no subprotocol/ })
      .click();
    await page.waitForURL('**/refused?code=no_subprotocol');
    expect(await page.getByRole('article').count()).toBe(1);
    await page.getByText('nothing: there was no Sec-WebSocket-Protocol').waitFor();
  });
});
