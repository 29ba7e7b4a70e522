/**
 * The main job on an embedded default: two TLS backends under two names, and the sniway command in front of them.
 * The certificates are made at start and forgotten at the end.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../src/cli/command.ts';
import { createAuthority } from './certificate.ts';
import type { Authority } from './certificate.ts';

const NAMES = ['apple.example.com', 'pear.example.com'];

const port = process.env['PORT'] ?? '8443';
if (!/^[0-9]{1,5}$/.test(port) || Number(port) > 65_535) {
  console.error(`demo: PORT=${port} is not a port from 0 to 65535; try: PORT=9443 npm start`);
  process.exit(2);
}

const authority = await createAuthority();
const folder = mkdtempSync(join(tmpdir(), 'sniway-demo-'));
const caFile = join(folder, 'ca.pem');
writeFileSync(caFile, authority.ca);
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const backends = await Promise.all(NAMES.map(name => startBackend(name, authority)));
const routes = backends.flatMap((backend, index) => [
  '--route',
  `${NAMES[index]}=127.0.0.1:${(backend.address() as AddressInfo).port}`,
]);

process.exitCode = await runCommand(['--listen', `127.0.0.1:${port}`, ...routes], {
  // The command's own lines are written in the background: they go first.
  started: addresses => void setTimeout(() => sayHowToTry(addresses[0]?.port ?? 0), 50),
});
if (process.exitCode === 1) console.error('demo: is the port taken? try another: PORT=9443 npm start');
for (const backend of backends) backend.close();

function sayHowToTry(bound: number): void {
  console.error(
    '\nTwo TLS backends wait behind it, each with a certificate of its own. Try, in another terminal:\n',
  );
  for (const name of NAMES) {
    console.error(`  curl --cacert ${caFile} --resolve ${name}:${bound}:127.0.0.1 https://${name}:${bound}/`);
  }
  console.error('\nEach connection prints one line here when it ends. Ctrl-C stops.\n');
}

async function startBackend(name: string, issuer: Authority): Promise<Server> {
  const server = createServer(await issuer.issue([name]), (_, response) => {
    response.setHeader('connection', 'close');
    response.end(`hello from ${name}\n`);
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}
