import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestHub, type TestHub } from '../../support/hub.ts';

interface JobBody {
  readonly name: string;
  readonly schedule: string;
  readonly description: string;
  readonly lastRun: { readonly started: string; readonly ok: boolean; readonly result: unknown } | null;
  readonly nextRun: string | null;
}

describe('the jobs of a hub', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await startTestHub();
  });
  afterAll(() => hub.close());
  const list = async (): Promise<JobBody[]> => (await hub.api('GET', '/api/v1/jobs')).body.items as JobBody[];

  it('wait for their time after a start, which is within the hour', async () => {
    const jobs = await list();
    expect(jobs.map(({ name }) => name).sort()).toEqual([
      'checkpoint',
      'expire-sign-ins',
      'expire-tokens',
      'retain-commands',
      'retain-connections',
      'retain-events',
      'retain-rejected',
    ]);
    for (const { lastRun, nextRun, description } of jobs) {
      expect(lastRun).toBeNull();
      expect(description).not.toBe('');
      const waitMs = Date.parse(nextRun!) - Date.now();
      expect(waitMs).toBeGreaterThan(-1000);
      expect(waitMs).toBeLessThanOrEqual(3_600_000);
    }
  });

  it('run on the real store when asked, and remember it', async () => {
    for (const { name } of await list()) {
      const { status, body } = await hub.api('POST', `/api/v1/jobs/${name}/run`);
      expect(status, name).toBe(200);
      expect(body.lastRun).toMatchObject({
        ok: true,
        result: name === 'checkpoint' ? { walBytes: expect.any(Number) } : { removed: 0 },
      });
    }
    for (const { lastRun } of await list()) expect(lastRun).toMatchObject({ ok: true });
    const { body: metrics } = await hub.api('GET', '/metrics');
    expect(metrics).toContain('muster_job_failing{name="checkpoint"} 0\n');
    expect(metrics).not.toMatch(/^muster_tls_certificate_expiry_seconds\{/m);
  });

  it('one that is not there is refused in words', async () => {
    const { status, body } = await hub.api('POST', '/api/v1/jobs/dance/run');
    expect(status).toBe(404);
    expect(body.detail).toContain('dance');
  });
});
