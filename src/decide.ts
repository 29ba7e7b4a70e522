/**
 * The one path that decides: hello -> route -> backend -> addresses -> verdict. Pure as far as it goes; what it cannot
 * know without waiting is handed back as a question, which {@link settle} answers.
 */
import { formatBackend, lookUpName } from './backends/backend-address.ts';
import type { Backend } from './backends/backend-address.ts';
import { GuardRefusal } from './backends/address-guard.ts';
import type { AddressGuard } from './backends/address-guard.ts';
import { dialOrder } from './backends/dial-order.ts';
import { ResolveError } from './backends/names.ts';
import type { NameResolver } from './backends/names.ts';
import { DIAL_ADDRESSES_MAX } from './limits.ts';
import type { Policies, Snapshot, SnapshotRoute } from './snapshot.ts';
import type { Answer, Refusal, RejectVerdict, Verdict } from './verdict.ts';
import type { ClientHello } from './wire/client-hello.ts';

/** A verdict that waits for the addresses of a name. Plain data: a worker thread can ask the main thread. */
export interface NameQuestion {
  readonly kind: 'resolve';
  readonly route: string;
  /** A host, or a service (`srv:` in front of its name). */
  readonly host: string;
  /** 0 for a service, whose records give the ports. */
  readonly port: number;
  /** The name was chosen by the client, so that every address must pass the guard. */
  readonly fromClient: boolean;
}

export type Decision = Verdict | NameQuestion;

/** The hello facts that a decision looks at. */
export interface HelloFacts {
  readonly serverName: ClientHello['serverName'];
  readonly alpnProtocols: readonly string[];
}

/** What a question is settled with. */
export interface SettleContext {
  readonly resolver: NameResolver;
  readonly guard: AddressGuard;
  readonly policies: Policies;
  /** Bound on the look-up. */
  readonly timeoutMs: number;
}

/** Decides at once whatever the snapshot alone can decide. */
export function decide(hello: HelloFacts, snapshot: Snapshot): Decision {
  const name = hello.serverName;
  if (name === null) return reject('no-sni', snapshot.policies.noSni);
  const index = snapshot.table.match(name, hello);
  const route = index < 0 ? undefined : snapshot.routes[index];
  if (route === undefined) return reject('unknown-name', snapshot.policies.unknownName);
  if (route.action.kind === 'reject') {
    return {
      kind: 'reject',
      endReason: 'denied',
      answer: route.action.answer,
      route: route.name,
      detail: null,
    };
  }
  return route.verdict ?? askFor(route, route.action.backend, name);
}

/** Answers a question: resolves the name and lets the guard choose among its addresses. Never rejects. */
export async function settle(question: NameQuestion, context: SettleContext): Promise<Verdict> {
  try {
    const { host, port, fromClient } = question;
    const found = await context.resolver.resolve(host, { timeoutMs: context.timeoutMs, fromClient });
    const allowed = context.guard.filter(dialOrder(found, port), fromClient);
    return { kind: 'relay', route: question.route, endpoints: allowed.slice(0, DIAL_ADDRESSES_MAX) };
  } catch (error) {
    const answer = context.policies.dialFailed;
    if (error instanceof GuardRefusal) {
      return {
        kind: 'reject',
        endReason: 'guard-refused',
        answer,
        route: question.route,
        detail: error.message,
      };
    }
    const detail = error instanceof ResolveError ? error.message : String(error);
    return { kind: 'reject', endReason: 'dns-failed', answer, route: question.route, detail };
  }
}

/** What a client that never got to a route sees, by the policy for its kind of failure. */
export function decideRefusal(refusal: Refusal, policies: Policies): RejectVerdict {
  switch (refusal.kind) {
    case 'hello-timeout':
      return reject('hello-timeout', policies.helloTimeout);
    case 'dial-failed':
      return {
        kind: 'reject',
        endReason: refusal.endReason,
        answer: policies.dialFailed,
        route: refusal.route,
        detail: refusal.detail,
      };
    case 'invalid-hello': {
      const { code, alert } = refusal.invalid;
      if (code === 'not-tls') return reject('not-tls', policies.notTls, refusal.protocol ?? code);
      const answer: Answer =
        policies.malformed.kind === 'parser' ? { kind: 'alert', description: alert } : policies.malformed;
      const tooLarge = code === 'hello-too-large' || code === 'too-many-records';
      return reject(tooLarge ? 'hello-too-large' : 'hello-malformed', answer, code);
    }
  }
}

function askFor(route: SnapshotRoute, backend: Backend, name: string): NameQuestion {
  const ask = { kind: 'resolve', route: route.name } as const;
  if (backend.kind === 'server-name') return { ...ask, host: name, port: backend.port, fromClient: true };
  const host = lookUpName(backend);
  if (host !== null)
    return { ...ask, host, port: backend.kind === 'host' ? backend.port : 0, fromClient: false };
  throw new Error(`no verdict for ${formatBackend(backend)}`);
}

function reject(
  endReason: RejectVerdict['endReason'],
  answer: Answer,
  detail: string | null = null,
): RejectVerdict {
  return { kind: 'reject', endReason, answer, route: null, detail };
}
