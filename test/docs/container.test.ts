/** The image and its compose file, as far as that goes without a container engine. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { parse } from 'yaml';
import { checkConfig } from '../../src/config/check-config.ts';
import { run } from '../support/programs.ts';
import { projectRoot } from '../support/project.ts';
import { startUpgradable } from '../support/upgradable.ts';

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');

/** Instructions with their lines joined, in order. */
const instructions = read('Containerfile')
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\\\n\s*/g, '')
  .split('\n')
  .filter(line => line !== '')
  .map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)] as const);

function argumentsOf(instruction: string): string {
  return instructions.findLast(([word]) => word === instruction)?.[1] ?? '';
}

interface Compose {
  readonly services: {
    readonly sniway: {
      readonly build: { readonly context: string; readonly dockerfile: string };
      readonly ports: readonly string[];
      readonly volumes: readonly string[];
      readonly stop_grace_period: string;
    };
  };
}

const { sniway: service } = (parse(read('examples/container/compose.yaml')) as Compose).services;
const config = checkConfig(parse(read('examples/container/sniway.yaml')));

describe('the image', () => {
  test('runs the command of the package, as another user than root', () => {
    const [node, main] = JSON.parse(argumentsOf('ENTRYPOINT')) as string[];
    const { bin } = JSON.parse(read('package.json')) as { bin: Record<string, string> };
    assert.deepEqual([node, main], ['node', `/app/${bin['sniway']}`]);
    assert.equal(argumentsOf('USER'), 'node');
  });

  test('is built from files that are there, and from none of this machine', () => {
    assert.match(argumentsOf('RUN'), /npm ci --include=dev .*npm run build .*npm ci --omit=dev/);
    for (const file of ['package-lock.json', '.npmrc', 'package.json', 'tsconfig.json'])
      assert.ok(existsSync(join(projectRoot, file)), file);
    const ignored = read('.containerignore').split('\n');
    for (const folder of ['node_modules', 'dist', '.git']) assert.ok(ignored.includes(folder), folder);
    assert.equal(read('.dockerignore'), read('.containerignore'));
    for (const [word, rest] of instructions) {
      if (word === 'FROM') assert.match(rest, /^node:[0-9]+-slim/);
    }
  });

  test('has a health check that tells a live proxy from none', async t => {
    const check = /CMD (\[.*\])$/.exec(argumentsOf('HEALTHCHECK'))?.[1] ?? '';
    const [, ...args] = JSON.parse(check) as string[];
    const command = JSON.parse(argumentsOf('CMD')) as string[];
    const admin = command[command.indexOf('--admin') + 1] ?? '';
    assert.ok(args.join(' ').includes(`http://${admin}/livez`));
    const proxy = await startUpgradable(t, [
      '-l',
      '127.0.0.1:0',
      '-s',
      'example.com',
      '--admin',
      '127.0.0.1:0',
    ]);
    const address = /health at http:\/\/(\S+)/.exec(proxy.stderr)?.[1] ?? '';
    const probe = (to: string): string[] => args.map(arg => arg.replace(admin, to));
    assert.equal((await run(t, [process.execPath, ...probe(address)])).code, 0);
    assert.equal((await run(t, [process.execPath, ...probe('127.0.0.1:1')])).code, 1);
  });
});

describe('the compose example', () => {
  test('fits the image and its configuration', () => {
    const { build, ports, volumes } = service;
    assert.ok(existsSync(join(projectRoot, 'examples/container', build.context, build.dockerfile)));
    const command = JSON.parse(argumentsOf('CMD')) as string[];
    const [host, inside, mode] = (volumes[0] ?? '').split(':');
    assert.ok(existsSync(join(projectRoot, 'examples/container', host ?? '')));
    assert.equal(inside, command[command.indexOf('-c') + 1]);
    assert.equal(mode, 'ro');
    const [listener] = config.listen;
    assert.ok(listener?.kind === 'tcp');
    assert.equal(ports[0]?.split(':')[1], String(listener.port));
    assert.equal(argumentsOf('EXPOSE'), String(listener.port));
  });

  test('stops the container no sooner than its connections have drained', () => {
    assert.ok(Number.parseInt(service.stop_grace_period, 10) * 1000 > config.drainTimeoutMs);
  });
});
