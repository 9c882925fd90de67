import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { API_LIMITS } from '#hub/http/limits.js';
import { PROBLEMS } from '#hub/http/problems.js';
import { allRoutes } from '#hub/http/routes.js';

const text = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');

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

it('docs/api.md lists the operations of the router', () => {
  const served = allRoutes(API_LIMITS).map(({ method, path, summary }) => [method, path, summary]);
  expect(rows(/^\| (GET|POST|PATCH|DELETE|PUT) /)).toEqual(served);
});

it('docs/api.md lists the problem codes', () => {
  const known = Object.entries(PROBLEMS).map(([code, { status, title }]) => [String(status), code, title]);
  expect(rows(/^\| \d{3} /)).toEqual(known);
});
