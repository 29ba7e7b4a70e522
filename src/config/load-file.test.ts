import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ConfigError } from '../errors.ts';
import { CONFIG_BYTES_MAX } from '../limits.ts';
import { checkConfig } from './check-config.ts';
import { loadConfigFile } from './load-file.ts';

const SAMPLE = `listen: [127.0.0.1:8443, "[::1]:8443"]
routes:
  - name: api                        # optional
    match: ["*.example.com", api.example.org]
    alpn: [acme-tls/1]
    backend: 10.0.0.5:443
  - match: old.example.com
    reject: unrecognized_name
suffixes: [.internal.example.com, "lan.example.org:8443"]
policies: { noSni: unrecognized_name, unknownName: unrecognized_name, malformed: parser, notTls: close,
            helloTimeout: close, dialFailed: internal_error }
guard: { allowNets: [127.0.0.0/8], denyNets: [10.0.0.0/8] }
timeouts: { hello: 5s, dial: 5s, drain: 25s }
engine: auto
`;

const VALUE = {
  listen: ['127.0.0.1:8443', '[::1]:8443'],
  routes: [
    {
      name: 'api',
      match: ['*.example.com', 'api.example.org'],
      alpn: ['acme-tls/1'],
      backend: '10.0.0.5:443',
    },
    { match: 'old.example.com', reject: 'unrecognized_name' },
  ],
  suffixes: ['.internal.example.com', 'lan.example.org:8443'],
  policies: {
    noSni: 'unrecognized_name',
    unknownName: 'unrecognized_name',
    malformed: 'parser',
    notTls: 'close',
    helloTimeout: 'close',
    dialFailed: 'internal_error',
  },
  guard: { allowNets: ['127.0.0.0/8'], denyNets: ['10.0.0.0/8'] },
  timeouts: { hello: '5s', dial: '5s', drain: '25s' },
  engine: 'auto',
};

let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sniway-config-'));
});

after(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

async function refusal(path: string): Promise<string> {
  try {
    await loadConfigFile(path);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.message;
  }
  return assert.fail('it was loaded');
}

test('loadConfigFile() reads YAML and JSON to the same value', async () => {
  const yaml = await loadConfigFile(await write('a.yaml', SAMPLE));
  const json = await loadConfigFile(await write('a.json', JSON.stringify(VALUE, null, 2)));
  const marked = await loadConfigFile(await write('bom.yaml', `\uFEFF${SAMPLE.replaceAll('\n', '\r\n')}`));
  for (const { value, problems } of [yaml, json, marked]) {
    assert.deepEqual(value, VALUE);
    assert.deepEqual(problems, []);
    assert.equal(checkConfig(value).routes.length, 4);
  }
  assert.equal(yaml.source.file, join(folder, 'a.yaml'));
  assert.equal(yaml.source.text, SAMPLE);
});

test('loadConfigFile() says why a file cannot be read', async () => {
  const missing = join(folder, 'missing.yaml');
  assert.equal(await refusal(missing), `cannot read "${missing}": there is no such file`);
  await mkdir(join(folder, 'folder'));
  assert.equal(
    await refusal(join(folder, 'folder')),
    `cannot read "${join(folder, 'folder')}": it is a directory`,
  );
  const binary = await write('binary.yaml', new Uint8Array([0x6c, 0xff, 0xfe]));
  assert.equal(await refusal(binary), `cannot read "${binary}": it is not UTF-8 text`);
});

test(
  'loadConfigFile() says that it lacks the permission',
  { skip: process.getuid?.() === 0 && 'runs as root' },
  async () => {
    const path = await write('secret.yaml', SAMPLE);
    await chmod(path, 0);
    assert.equal(await refusal(path), `cannot read "${path}": permission denied for the user Sniway runs as`);
  },
);

test('loadConfigFile() refuses a file over the bound', async () => {
  const path = await write('large.yaml', '');
  await truncate(path, CONFIG_BYTES_MAX + 1);
  assert.equal(await refusal(path), `cannot read "${path}": it is larger than 64 MiB`);
});
