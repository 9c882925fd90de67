import axe from 'axe-core';
import type { Page } from 'playwright-core';

/** What of WCAG 2.2 can be checked by a program, levels A and AA. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** What is wrong with the page as it is shown now: each rule, with the elements that break it. */
export async function auditOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate(
    (values) => (globalThis as any).axe.run({ runOnly: { type: 'tag', values } }),
    RULES,
  )) as axe.AxeResults;
  return violations.map(
    ({ id, help, nodes }) =>
      `${id}: ${help}\n${nodes.map(({ html, failureSummary }) => `  ${html}\n  ${failureSummary ?? ''}`).join('\n')}`,
  );
}
