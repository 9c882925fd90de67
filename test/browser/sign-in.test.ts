import { describe, expect, it } from 'vitest';
import { hasChromium } from './support/chromium.ts';
import { Console } from './support/dashboard.ts';

describe.skipIf(!hasChromium())('signing in', () => {
  const desk = new Console();

  it('whoever is not signed in is asked to, by link, and then sees the page that was asked for', async () => {
    const page = await desk.stranger();
    await page.goto(`${desk.url}/dashboard/refused?order=newest`);
    await page.waitForURL('**/sign-in?next=*');
    const secret = (await desk.link()).split('#')[1]!;
    // As if the link had been opened in the same tab.
    await page.goto('about:blank');
    await page.goto(`${desk.url}/sign-in?next=%2Fdashboard%2Frefused%3Forder%3Dnewest#${secret}`);
    expect(page.url()).not.toContain(secret);
    await page.getByLabel(/^New password/).fill('a long password');
    await page.getByLabel('The same again').fill('a long password');
    await page.getByRole('button', { name: 'Set password and sign in' }).click();
    await page.waitForURL('**/dashboard/refused?order=newest');
    await page.getByRole('heading', { name: 'Refused handshakes' }).waitFor();
    await page.getByText('operator-1').waitFor();
  });

  it('by name and password, and out again; then nothing is shown any more', async () => {
    const page = await desk.stranger();
    await page.goto(desk.url);
    await page.waitForURL('**/sign-in?next=*');
    await page.getByLabel('Name').fill('operator-1');
    await page.getByLabel('Password', { exact: true }).fill('not the password');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByText('name or password is not right').waitFor();
    await page.getByLabel('Password', { exact: true }).fill('a long password');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.waitForURL('**/dashboard/');
    await page.route('**/api/v1/sign-out', (route) => route.abort());
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('The hub did not sign you out').waitFor();
    await page.unroute('**/api/v1/sign-out');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.waitForURL('**/sign-in');
    await page.goto(`${desk.url}/dashboard/`);
    await page.waitForURL('**/sign-in?next=*');
    expect(await page.context().cookies()).toEqual([]);
  });

  it('leads to no other site, whatever the address asks for', async () => {
    for (const next of ['https://example.org/dashboard/', '//example.org/dashboard/', '/dashboard/../api/docs']) {
      const page = await desk.stranger();
      const secret = (await desk.link()).split('#')[1]!;
      await page.goto(`${desk.url}/sign-in?next=${encodeURIComponent(next)}#${secret}`);
      await page.getByRole('button', { name: 'Sign in without a password' }).click();
      await page.waitForURL('**/dashboard/');
      expect(page.url()).toBe(`${desk.url}/dashboard/`);
    }
  });

  it('a page whose sign-in was ended elsewhere asks for a new one', async () => {
    const page = await desk.open('', { role: 'viewer' });
    await page.getByText(desk.operator).waitFor();
    await desk.hub.api('PATCH', `/api/v1/operators/${desk.operator}`, { disabled: true });
    await page.reload();
    await page.waitForURL('**/sign-in?next=*');
  });

  it('a page of another site can do nothing with the cookie', async () => {
    const page = await desk.stranger();
    await page.goto(desk.url + (await desk.link('admin')));
    await page.getByRole('button', { name: 'Sign in without a password' }).click();
    await page.getByText(desk.operator).waitFor();
    const cookies = await page.context().cookies();
    expect(cookies).toMatchObject([{ httpOnly: true, sameSite: 'Strict', path: '/' }]);
    // Even from the hub's own pages nothing changes without the value that only they can read.
    const status = await page.evaluate(async () => {
      const answer = await fetch('/api/v1/devices', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"id":"forged"}',
      });
      return answer.status;
    });
    expect(status).toBe(403);
    expect((await desk.hub.api('GET', '/api/v1/devices/forged')).status).toBe(404);
  });
});
