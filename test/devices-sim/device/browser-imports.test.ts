import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');

/** What a file imports when it runs: types are gone then. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  const found = text.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'"]*?\bfrom\s*)?['"]([^'"]+)['"]/gm);
  return [...found].map(([, name]) => {
    if (name!.startsWith('#')) return name!.slice(1).replace(/\.js$/, '.ts');
    return name!.startsWith('.') ? relative(ROOT, join(ROOT, dirname(file), name!)) : `package ${name!}`;
  });
}

test('what a browser loads of the device client is files of ours, and nothing of Node', () => {
  const loaded = new Set(['devices-sim/device/browser.ts']);
  for (const file of loaded)
    for (const target of importsOf(file)) if (!target.startsWith('package ')) loaded.add(target);
  expect(loaded.size).toBeGreaterThan(10);
  expect([...loaded].flatMap(importsOf).filter((target) => target.startsWith('package '))).toEqual([]);
  const ofNode = /\b(Buffer|process|require)\b[.(]/;
  const code = (file: string): string =>
    readFileSync(join(ROOT, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  expect([...loaded].filter((file) => ofNode.test(code(file)))).toEqual([]);
});
