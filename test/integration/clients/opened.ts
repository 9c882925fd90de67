import { afterEach } from 'vitest';

const opened: (() => unknown)[] = [];

/** What a test opens is closed after it, the newest first, whether it passed or not. */
export function afterThisTest(close: () => unknown): void {
  opened.push(close);
}

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});
