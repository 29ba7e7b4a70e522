#!/usr/bin/env node
// SIGUSR1 opens Node's inspector unless somebody listens to it: a proxy in front of a company must not, so this comes
// before anything else is loaded.
process.on('SIGUSR1', () => undefined);
// SIGHUP would end the process if it came before the proxy has started, such as from a service manager's reload.
process.on('SIGHUP', () => undefined);
// So would SIGUSR2, which asks a running proxy to upgrade.
process.on('SIGUSR2', () => undefined);

const { runCommand } = await import('./command.ts');
const exitCode = await runCommand(process.argv.slice(2));
// Output to a pipe may still be under way: the code is set, and Node ends by itself when nothing is left to do.
process.exitCode = exitCode;

export {};
