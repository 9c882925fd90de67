import { defineConfig } from 'vitest/config';

export default defineConfig({
  ssr: { resolve: { conditions: ['muster-source', 'module', 'node', 'development|production'] } },
  resolve: { conditions: ['muster-source', 'module', 'node', 'development|production'] },
  test: {
    include: ['test/**/*.test.ts'],
    // Two cores: more workers only make the end-to-end tests wait for each other.
    maxWorkers: 2,
    execArgv: ['--conditions=muster-source'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
  },
});
