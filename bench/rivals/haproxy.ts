import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender, Route, Task } from './contender.ts';

/**
 * Two descriptors for each connection and each pipe: together they stay below 20,000 open files, a usual hard limit.
 * HAProxy does not start when it cannot have as many as it may need.
 */
const CONNECTIONS_MAX = 9000;
const PIPES_MAX = 900;

/** As the manual shows it for routing by SNI. HAProxy passes half-closes on by itself. */
export const haproxy: Contender = {
  name: 'haproxy',
  spread: false,
  prepare: task => command(task, { global: '', splice: 'option splice-auto', bind: '' }),
};

/**
 * With what helps it most on this load: accepts only when data is there, and splices always, through pipes of 1 MiB,
 * where splice-auto hardly ever decides to.
 */
export const haproxyTuned: Contender = {
  name: 'haproxy-tuned',
  spread: false,
  prepare: task =>
    command(task, {
      global: '  tune.pipesize 1048576',
      splice: 'option splice-request\n  option splice-response',
      bind: ' defer-accept',
    }),
};

const useBackend = ({ serverName }: Route): string =>
  `  use_backend ${serverName} if { req_ssl_sni -i ${serverName} }`;
const backend = ({ serverName, backendPort }: Route): string =>
  `backend ${serverName}\n  server ${serverName} 127.0.0.1:${backendPort}`;

function command(task: Task, extra: { global: string; splice: string; bind: string }): readonly string[] {
  const file = join(task.folder, 'haproxy.cfg');
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn ${CONNECTIONS_MAX}
  maxpipes ${PIPES_MAX}
${extra.global}
defaults
  mode tcp
  ${extra.splice}
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend tls
  bind 127.0.0.1:${task.port} backlog 4096${extra.bind}
  tcp-request inspect-delay 5s
  tcp-request content accept if { req_ssl_hello_type 1 }
  tcp-request content reject
${task.routes.map(useBackend).join('\n')}
${task.routes.map(backend).join('\n')}
`,
  );
  return ['haproxy', '-db', '-f', file];
}
