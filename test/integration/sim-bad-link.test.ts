import { describe, expect, it } from 'vitest';
import { parseSimOptions, reportText, runSimulation } from '#devices-sim/main.js';
import { startTestHub } from '../support/hub.ts';

describe('a fleet behind a link of which a fifth is cut', () => {
  it('has everything stored once, in CBOR and over HTTP, and commands answered', async () => {
    const hub = await startTestHub();
    try {
      const options = parseSimOptions({
        url: hub.wsUrl,
        token: hub.token,
        devices: '40',
        protocols: 'cbor,http',
        interval: '250ms',
        duration: '5s',
        seed: '7',
        cuts: '20%',
        commandsPerMinute: '600',
        drain: '40s',
      });
      const report = await runSimulation(options, { stdout: null, stderr: null });
      const text = reportText(report);
      expect(report.failures, text).toEqual([]);
      expect(report.link!.cuts / report.link!.chunks).toBeGreaterThan(0.1);
      expect(report.resent, text).toBeGreaterThan(0);
      expect(report.unacknowledgedAtEnd, text).toBe(0);
      expect(text).toContain('lost 0, doubled 0');
      expect(text).toMatch(/bad link +[\d,]+ of [\d,]+ chunks cut/);
    } finally {
      await hub.close();
    }
  }, 90_000);
});
