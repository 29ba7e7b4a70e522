import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { inspectConfig } from './check-config.ts';
import { parseSource } from './config-source.ts';
import { loadModule } from './load-module.ts';
import { sampleConfig } from './sample-config.ts';
import type { ConfigKey } from './schema-tree.ts';
import { configTree } from './schema-tree.ts';
import { findSchemaProblems } from './schema.ts';

/** With everything in force that is commented out, and without the line that would stand there twice. */
function inForce(text: string): string {
  return text.replace(/^ *listen: \S*127.*\n/m, '').replaceAll(/^( *)(?:#|\/\/)(?=\S)/gm, '$1');
}

/** A program without the import that only types need here. */
async function runSample(t: TestContext, text: string): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'sniway-sample-'));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, 'sample.mjs');
  await writeFile(
    path,
    text.replace("import { defineConfig } from 'sniway';", 'const defineConfig = x => x;'),
  );
  return (await loadModule(path)).value;
}

function yamlOf(text: string): unknown {
  const { value, problems } = parseSource('sniway.yaml', text);
  assert.deepEqual(problems, [], text);
  return value;
}

/** `routes.backends.weight`, for each key that leads nowhere further too. */
function namesOf({ keys }: ConfigKey, above = ''): string[] {
  return keys.flatMap(key => [`${above}${key.name}`, ...namesOf(key, `${above}${key.name}.`)]);
}

function namesIn(value: unknown, above = ''): string[] {
  if (Array.isArray(value)) return value.flatMap(item => namesIn(item, above));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    `${above}${key}`,
    ...namesIn(inner, `${above}${key}.`),
  ]);
}

test('sampleConfig() is fit as it is, in both formats', async t => {
  const yaml = yamlOf(sampleConfig('yaml'));
  assert.deepEqual(inspectConfig(yaml).problems, []);
  assert.deepEqual(await runSample(t, sampleConfig('ts')), yaml);
});

test('sampleConfig() shows every key of the schema, in both formats', async t => {
  const yaml = yamlOf(inForce(sampleConfig('yaml')));
  const names = namesOf(configTree());
  assert.ok(names.length > 80 && names.includes('routes.backends.tlvs.custom.type'), names.join(' '));
  assert.deepEqual(namesIn(yaml).toSorted(), names.toSorted());
  assert.deepEqual(await runSample(t, inForce(sampleConfig('ts'))), yaml);
});

test('sampleConfig() shows values that each key takes', () => {
  const { include: _, ...value } = yamlOf(inForce(sampleConfig('yaml'))) as Record<string, unknown>;
  assert.deepEqual(findSchemaProblems(value), []);
});

test('sampleConfig() says of every key what it is for', () => {
  const bare = sampleConfig('yaml')
    .split('\n')
    .filter(line => /^ *#\S/.test(line) && !line.includes(' # '))
    .map(line => line.trim());
  const top = configTree().keys.map(({ name }) => `#${name}:`);
  assert.deepEqual(
    bare.filter(line => !top.some(start => line.startsWith(start))),
    [],
  );
});

test('sampleConfig() changes nothing: the defaults it shows are those that hold', () => {
  const shown = yamlOf(inForce(sampleConfig('yaml'))) as Record<string, Record<string, unknown>>;
  const base = { listen: '127.0.0.1:8443', suffixes: 'a.example' };
  const { config } = inspectConfig(base);
  for (const key of ['policies', 'timeouts', 'tcp', 'engine'] as const) {
    assert.deepEqual(inspectConfig({ ...base, [key]: shown[key] }).config, config, key);
  }
});
