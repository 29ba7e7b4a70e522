// Makes a fresh clone ready to run: locked dependencies, then the build. Plain JavaScript, because it runs
// before the TypeScript compiler is there. Does only what is out of date, so a second run is quick.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NODE_MINIMUM = [20, 19];
// The compiler is among the development dependencies, which NODE_ENV=production would leave out.
const NPM_CI = ['ci', '--include=dev', '--no-progress'];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.sniway-setup');

const say = text => process.stderr.write(`setup: ${text}\n`);
const fail = (what, remedy) => {
  say(`${what}\nsetup: remedy: ${remedy}`);
  process.exit(1);
};

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < NODE_MINIMUM[0] || (major === NODE_MINIMUM[0] && minor < NODE_MINIMUM[1])) {
  fail(
    `Node ${process.versions.node} is too old`,
    `install Node ${NODE_MINIMUM.join('.')} or newer, then run the command again`,
  );
}

const lock = join(root, 'package-lock.json');
if (!existsSync(lock)) fail('package-lock.json is missing', 'restore it: git checkout package-lock.json');
const wanted = `${process.version} ${createHash('sha256').update(readFileSync(lock)).digest('hex')}`;
const run = (command, args) =>
  spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });

if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) {
  say('dependencies are up to date');
} else {
  say('installing the locked dependencies (npm ci) ...');
  const npm = process.env.npm_execpath;
  const done =
    npm === undefined
      ? run(process.platform === 'win32' ? 'npm.cmd' : 'npm', NPM_CI)
      : run(process.execPath, [npm, ...NPM_CI]);
  if (done.error !== undefined) {
    fail(`npm could not be started: ${done.error.message}`, 'install npm, then run the command again');
  }
  if (done.status !== 0) {
    fail(
      'npm ci failed (see above)',
      'check that the npm registry can be reached, then run the command again',
    );
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
}

say('building (tsc) ...');
const built = run(process.execPath, [
  join(root, 'node_modules', 'typescript', 'bin', 'tsc'),
  '-p',
  'tsconfig.json',
]);
if (built.error !== undefined || built.status !== 0) {
  fail(
    'the build failed (see above)',
    'git status shows local changes; to begin anew: npm run clean, remove node_modules, run the command again',
  );
}
say('ready');
