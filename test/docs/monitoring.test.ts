/** The dashboard and the alerts: their shape, and that everything they ask for exists. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { parse } from 'yaml';
import { END_REASONS } from '../../src/events.ts';
import { createMetrics } from '../../src/index.ts';
import { isInstalled, run } from '../support/programs.ts';
import { projectRoot } from '../support/project.ts';
import { startProxy } from '../support/proxies.ts';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly refId: string }[];
}

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const ALERTS_FILE = join(projectRoot, 'grafana', 'alerts.yaml');
const dashboard = JSON.parse(
  readFileSync(join(projectRoot, 'grafana', 'dashboard.json'), 'utf8'),
) as Dashboard;
const alerts = parse(readFileSync(ALERTS_FILE, 'utf8')) as {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
};
const rules = alerts.groups.flatMap(group => group.rules);
const panelQueries = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
const variableQueries = dashboard.templating.list.flatMap(({ definition }) => definition ?? []);
const queries = [...panelQueries, ...variableQueries, ...rules.map(({ expr }) => expr)];

/** Names of metrics that a query asks for. */
function metricsIn(query: string): string[] {
  return [...query.matchAll(/\b(?:sniway|process)_[a-z_]+/g)].map(([name]) => name);
}

/** Every name that can be asked for. */
async function knownMetrics(t: TestContext): Promise<Set<string>> {
  const { proxy } = await startProxy(t, { engine: 'portable', suffixes: 'example.com' });
  const text = await createMetrics(proxy).render();
  return new Set(
    [...text.matchAll(/^# TYPE (\S+) (\S+)/gm)].flatMap(([, name = '', type]) =>
      type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
    ),
  );
}

describe('the dashboard and the alerts', () => {
  test('ask for metrics that there are', async t => {
    const known = await knownMetrics(t);
    for (const query of queries) {
      const named = metricsIn(query);
      assert.ok(named.length > 0 || /\bup\b/.test(query), query);
      for (const name of named) assert.ok(known.has(name), `there is no ${name}: ${query}`);
    }
  });

  test('name end reasons that there are', () => {
    const matchers = queries.flatMap(query => [...query.matchAll(/reason(=~?)"([^"]+)"/g)]);
    assert.ok(matchers.length > 0);
    for (const [text, , pattern = ''] of matchers) {
      for (const word of pattern.split('|')) {
        const matches = END_REASONS.some(reason => new RegExp(`^(?:${word})$`).test(reason));
        assert.ok(matches, `no end reason fits ${word} of ${text}`);
      }
    }
  });

  test('show every metric but the start of the process', async t => {
    const asked = new Set(queries.flatMap(metricsIn));
    const known = [...(await knownMetrics(t))].filter(name => !/_(?:sum|count)$/.test(name));
    assert.deepEqual(
      known.filter(name => !asked.has(name)),
      ['process_start_time_seconds'],
    );
  });

  test('have queries that promtool can read', async t => {
    if (!isInstalled('promtool')) return t.skip('promtool not installed');
    const folder = mkdtempSync(join(tmpdir(), 'sniway-test-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const recorded = panelQueries.map((expr, index) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    const file = join(folder, 'panels.yaml');
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'panels', rules: recorded }] }));
    const { code, stdout, stderr } = await run(t, ['promtool', 'check', 'rules', ALERTS_FILE, file]);
    assert.equal(code, 0, stdout + stderr);
  });
});

describe('the dashboard', () => {
  test('has an identity, variables that its queries use, and no other', () => {
    assert.equal(dashboard.uid, 'sniway');
    assert.ok(dashboard.schemaVersion >= 36);
    const names = new Set(dashboard.templating.list.map(({ name }) => name));
    const used = panelQueries.flatMap(query => [...query.matchAll(/\$([a-z]+)/g)].map(match => match[1]));
    assert.deepEqual(new Set([...used, 'datasource']), names);
  });

  test('has panels that differ, fit the grid and do not overlap', () => {
    const { panels } = dashboard;
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Map<string, string>();
    for (const { title, type, gridPos, targets = [] } of panels) {
      const { x, y, w, h } = gridPos;
      assert.ok(x >= 0 && x + w <= 24, title);
      assert.equal(targets.length > 0, type !== 'row', title);
      assert.equal(new Set(targets.map(({ refId }) => refId)).size, targets.length, title);
      for (let column = x; column < x + w; column++) {
        for (let line = y; line < y + h; line++) {
          const cell = `${column}:${line}`;
          assert.equal(taken.get(cell), undefined, `${title} lies over ${taken.get(cell)}`);
          taken.set(cell, title);
        }
      }
    }
  });
});

describe('the alerts', () => {
  test('each have a name, a severity, and words for whoever is woken up', () => {
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
    for (const { alert, labels, annotations } of rules) {
      assert.match(alert, /^Sniway[A-Za-z]+$/);
      assert.match(labels['severity'] ?? '', /^(?:warning|critical)$/, alert);
      for (const word of ['summary', 'description']) assert.ok((annotations[word] ?? '').length > 10, alert);
    }
  });
});
