import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DEVICE_PROBLEMS } from '#hub/http/device/problems.js';
import { API_LIMITS } from '#hub/http/limits.js';
import { allPages } from '#hub/http/pages/pages.js';
import { PROBLEMS } from '#hub/http/problems.js';
import { httpInterface } from '#hub/http/routes.js';

const text = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');
const { routes, document } = httpInterface(API_LIMITS, { metricsNeedToken: false, version: '0.1.0' });

function rows(pattern: RegExp): string[][] {
  return text
    .split('\n')
    .filter((line) => pattern.test(line))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replaceAll('`', '')),
    );
}

describe('docs/api.md lists', () => {
  it('the operations of the router and their scopes', () => {
    const served = routes.map(({ method, path, scope, summary }) => [method, path, scope, summary]);
    expect(rows(/^\| (GET|POST|PATCH|DELETE|PUT) /)).toEqual(served);
  });

  it('the problem codes', () => {
    const known = Object.entries(PROBLEMS).map(([code, { status, title }]) => [String(status), code, title]);
    expect(rows(/^\| \d{3} /)).toEqual(known);
  });

  it('the problem codes of devices, in docs/http-devices.md', () => {
    const devices = readFileSync(new URL('../../../docs/http-devices.md', import.meta.url), 'utf8');
    const known = Object.entries(DEVICE_PROBLEMS).map(
      ([code, { status, title }]) => `| ${status} | \`${code}\` | ${title} |`,
    );
    expect(devices.split('\n').filter((line) => /^\| \d{3} /.test(line))).toEqual(known);
  });

  it('the pages', () => {
    const pages = allPages(document).map(({ path, summary }) => [path, summary]);
    expect(rows(/^\| `\/(?!.*\|.*\|.*\|)/)).toEqual(pages);
  });
});
