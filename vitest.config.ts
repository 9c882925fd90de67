import { defineConfig } from 'vitest/config';

const conditions = ['muster-source', 'module', 'node', 'development|production'];

/** Folders whose tests start real processes, sockets and clients. */
const END_TO_END = [
  'test/conformance/**',
  'test/integration/**',
  'test/browser/**',
  'test/package/**',
  'test/deploy/**',
  'test/cli/**',
  'test/devices-sim/**',
  'test/examples/**',
];
const TESTS = ['test/**/*.test.ts'];

export default defineConfig({
  ssr: { resolve: { conditions } },
  resolve: { conditions },
  test: {
    // Two cores: more workers only make the end-to-end tests wait for each other.
    maxWorkers: 2,
    execArgv: ['--conditions=muster-source'],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    setupFiles: ['test/support/property-seed.ts'],
    projects: [
      { extends: true, test: { name: 'unit', include: TESTS, exclude: END_TO_END } },
      {
        extends: true,
        test: {
          name: 'end to end',
          include: END_TO_END.map((folder) => `${folder}/*.test.ts`),
          globalSetup: ['test/support/build-dashboard.ts'],
          // CI's machine is shared, and a real process may be late once; a fault is there the second time too.
          retry: process.env.CI === 'true' ? 1 : 0,
        },
      },
    ],
  },
});
