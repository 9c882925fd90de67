import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { FakeProcess } from './harness.ts';

const docs = new URL('../../docs/', import.meta.url);

it('docs/cli.md is what the commands say (make it anew with `npm run --silent muster -- reference > docs/cli.md`)', async () => {
  const me = new FakeProcess();
  expect(await me.run(['reference'])).toBe(0);
  expect(readFileSync(new URL('cli.md', docs), 'utf8')).toBe(me.out);
});

it('its links lead to headings that are there', () => {
  const text = readFileSync(new URL('cli.md', docs), 'utf8');
  // As GitHub makes anchors of headings.
  const headings = [...text.matchAll(/^### `(.*)`$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, '')
      .replaceAll(' ', '-'),
  );
  const links = [...text.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor]) => anchor!);
  expect(links.length).toBeGreaterThan(30);
  expect(links).toEqual(headings);
});
