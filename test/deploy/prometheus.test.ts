import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { startTestHub, type TestHub } from '../support/hub.ts';
import { DEPLOY, need, ROOT, runTool } from './tool.ts';

const CONFIG = join(DEPLOY, 'prometheus/prometheus.yml');
const RULES = join(DEPLOY, 'prometheus/alerts.yml');
const RULE_TESTS = join(DEPLOY, 'prometheus/alerts.test.yml');
const DASHBOARD = join(DEPLOY, 'grafana/dashboards/muster.json');

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly action: string };
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

const read = (file: string): string => readFileSync(file, 'utf8');
const rules = (parse(read(RULES)) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(read(DASHBOARD)) as { panels: Panel[]; templating: { list: { query: unknown }[] } };
const panelExpressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
const variableExpressions = dashboard.templating.list.map(({ query }) => JSON.stringify(query));

/** The metrics that PromQL names, as the documentation lists them: a histogram by its own name. */
function metricsOf(expressions: readonly string[]): string[] {
  const names = expressions.flatMap((text) => text.match(/\b(muster|process|nodejs)_[a-z0-9_]+\b/g) ?? []);
  return [...new Set(names.map((name) => name.replace(/^(muster_.*_seconds)_(bucket|sum|count)$/, '$1')))].sort();
}

describe('what Prometheus and Grafana are told about the hub', () => {
  let hub: TestHub;
  let served: string;
  beforeAll(async () => {
    hub = await startTestHub();
    served = (await hub.api('GET', '/metrics')).body as string;
  });
  afterAll(() => hub.close());

  it.each([
    ['the dashboard', [...panelExpressions, ...variableExpressions]],
    ['the alerts', rules.map(({ expr }) => expr)],
    ['what the alerts advise', rules.map(({ annotations }) => annotations.action)],
  ])('%s: every metric is documented, and served by a hub', (_, expressions) => {
    const documented = new Set(read(join(ROOT, 'docs/metrics.md')).match(/(?<=^\| `)[a-z_]+/gm));
    const names = metricsOf(expressions);
    expect(names.length).toBeGreaterThan(1);
    expect(names.filter((name) => name.startsWith('muster_') && !documented.has(name))).toEqual([]);
    expect(names.filter((name) => !served.includes(`# TYPE ${name} `))).toEqual([]);
  });

  it('the dashboard shows every documented metric, so that a new one is not forgotten', () => {
    const documented = read(join(ROOT, 'docs/metrics.md')).match(/(?<=^\| `)muster_[a-z_]+/gm)!;
    const shown = metricsOf(panelExpressions);
    expect(documented.filter((name) => !shown.includes(name))).toEqual([]);
  });
});

describe('the alerts', () => {
  it('say how bad it is, what has happened and what to do', () => {
    expect(rules.length).toBeGreaterThan(5);
    for (const { labels, annotations } of rules) {
      expect(['critical', 'warning']).toContain(labels.severity);
      expect(annotations.summary).toMatch(/\{\{ \$labels\.instance \}\}/);
      expect(annotations.action.length).toBeGreaterThan(20);
    }
  });

  it('and the configuration are valid for promtool', (context) => {
    need(context, 'promtool', 'prometheus');
    expect(runTool('promtool', ['check', 'config', CONFIG])).toMatchObject({ status: 0 });
    expect(runTool('promtool', ['check', 'rules', '--lint-fatal', RULES])).toMatchObject({ status: 0 });
  });

  it('fire when they should and not before, by promtool', (context) => {
    need(context, 'promtool', 'prometheus');
    expect(runTool('promtool', ['test', 'rules', RULE_TESTS])).toMatchObject({ status: 0 });
  });
});

describe('the dashboard', () => {
  it('has panels with titles and ids of their own that do not cover each other', () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panels.every(({ title }) => title !== '')).toBe(true);
    const places = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(places).size).toBe(places.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  });

  it('asks in PromQL that promtool accepts', (context) => {
    need(context, 'promtool', 'prometheus');
    const folder = mkdtempSync(join(tmpdir(), 'muster-promql-'));
    try {
      const record = panelExpressions.map((expr, i) => ({
        record: `panel_${i}`,
        expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$job', 'muster').replaceAll('$instance', '.*'),
      }));
      const file = join(folder, 'panels.yml');
      writeFileSync(file, stringify({ groups: [{ name: 'panels', rules: record }] }));
      expect(runTool('promtool', ['check', 'rules', '--lint=none', file])).toMatchObject({ status: 0 });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('is found by the data source and the folder that are provisioned', () => {
    const sources = parse(read(join(DEPLOY, 'grafana/provisioning/datasources/prometheus.yml'))) as {
      datasources: { uid: string; url: string; isDefault: boolean }[];
    };
    expect(sources.datasources).toMatchObject([{ uid: 'prometheus', url: 'http://prometheus:9090', isDefault: true }]);
    const providers = parse(read(join(DEPLOY, 'grafana/provisioning/dashboards/muster.yml'))) as {
      providers: { options: { path: string } }[];
    };
    const compose = parse(read(join(ROOT, 'docker-compose.yml'))) as { services: { grafana: { volumes: string[] } } };
    const { path } = providers.providers[0]!.options;
    expect(compose.services.grafana.volumes).toContain(`./deploy/grafana/dashboards:${path}:ro`);
  });
});
