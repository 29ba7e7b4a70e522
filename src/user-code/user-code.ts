/**
 * The functions of the user at work, on the main thread: routes that are functions, and hooks. Whatever they do, each
 * question gets its answer in time, and what goes wrong refuses the connection.
 */
import { literalEndpoint, portOf } from '../backends/pool.ts';
import { lookUpName } from '../backends/backend-address.ts';
import type { Backend } from '../backends/backend-address.ts';
import { candidatesOf } from '../backends/candidates.ts';
import { dialOrder } from '../backends/dial-order.ts';
import type { UserFunctions } from '../config/user-functions.ts';
import type { CallContext, ClientInfo, HelloInfo } from '../config/user-types.ts';
import { resolveFailure, settle } from '../decide.ts';
import type { FunctionQuestion, Question, SettleContext, UserQuestion } from '../decide.ts';
import type { ConnectionEnded, Notice } from '../events.ts';
import { LOGGED_BYTES_MAX, USER_CALLS_MAX } from '../limits.ts';
import type { Answer, Asker, Candidate, RejectVerdict, Verdict } from '../verdict.ts';
import { CallOver, callWithin } from './call-within.ts';
import { FailureNotices, summaryOf } from './failure-notices.ts';
import { clientInfo, helloInfo, verdictInfo } from './infos.ts';
import { readHookAnswer, readRouteAnswer } from './read-answer.ts';

type Listener = (record: ConnectionEnded) => void | Promise<void>;

/** Where records are announced. */
interface RecordEvents {
  on(event: 'ended', listener: Listener): unknown;
  off(event: 'ended', listener: Listener): unknown;
}

export class UserCode {
  readonly #notices: FailureNotices;
  #functions: UserFunctions;
  /** Those before, for questions about routes that were asked before they went. */
  #departed: UserFunctions | null = null;
  #underWay = 0;
  #events: RecordEvents | null = null;

  constructor(functions: UserFunctions, notice: (notice: Notice) => void) {
    this.#functions = functions;
    this.#notices = new FailureNotices(notice);
  }

  /**
   * From now on these functions are asked; connections that wait for one go on with those they began with. Those of
   * routes that have gone are kept until the next time: workers may still ask for them.
   */
  replace(functions: UserFunctions): void {
    const before = this.#functions;
    this.#departed = before;
    this.#functions = functions;
    this.#notices.forget();
    if (this.#events === null) return;
    // In this order, so that there is somebody who wants records at every moment.
    this.attach(this.#events);
    if (before.hooks.onEnd !== undefined) this.#events.off('ended', before.hooks.onEnd);
  }

  /** The hook for records is a listener like others, which these events then have. */
  attach(events: RecordEvents): void {
    this.#events = events;
    const { onEnd } = this.#functions.hooks;
    if (onEnd !== undefined) events.on('ended', onEnd);
  }

  /** Answers whatever a decision could not say by itself; never rejects. */
  async settle(question: Question, asker: Asker, context: SettleContext): Promise<Verdict> {
    if (question.kind === 'resolve') return await settle(question, context);
    if (this.#underWay >= USER_CALLS_MAX) {
      const { limit } = context.policies;
      return { ...rejection('limit', limit, routeOf(question)), detail: 'functions under way' };
    }
    this.#underWay++;
    try {
      return await this.#consult(question, asker, context);
    } finally {
      this.#underWay--;
    }
  }

  async #consult(question: UserQuestion, asker: Asker, context: SettleContext): Promise<Verdict> {
    const { offer, client } = question;
    const consultation = new Consultation(
      {
        functions: this.#functions,
        departed: this.#departed,
        hello: helloInfo(offer, client.ech),
        client: clientInfo(client.peer, client.listener),
        asker,
      },
      context,
    );
    const verdict = await consultation.run(question);
    const { failure, waitedMs } = consultation;
    if (failure !== null && !isGone(failure.error)) this.#notices.tell(failure.what, failure.error);
    return verdict.kind === 'relay' && waitedMs > 0 ? { ...verdict, waitedMs } : verdict;
  }
}

interface Consulted {
  readonly functions: UserFunctions;
  readonly departed: UserFunctions | null;
  readonly hello: HelloInfo;
  readonly client: ClientInfo;
  readonly asker: Asker;
}

/** All that users' functions are asked about one connection. */
class Consultation {
  readonly #about: Consulted;
  readonly #context: SettleContext;
  /** Of the function that has failed, if one has. */
  failure: { readonly what: string; readonly error: unknown } | null = null;
  waitedMs = 0;

  constructor(about: Consulted, context: SettleContext) {
    this.#about = about;
    this.#context = context;
  }

  async run(question: UserQuestion): Promise<Verdict> {
    const { functions, hello, client } = this.#about;
    const { onHello, onVerdict } = functions.hooks;
    const route = routeOf(question);
    if (onHello !== undefined) {
      const refusal = await this.#askHook('onHello', route, call => onHello(hello, client, call));
      if (refusal !== null) return refusal;
    }
    const verdict = await this.#settleNext(question.next);
    // A function that has failed has its say already.
    if (onVerdict === undefined || this.failure !== null) return verdict;
    const info = verdictInfo(verdict);
    const refusal = await this.#askHook('onVerdict', verdict.route, call =>
      onVerdict(info, hello, client, call),
    );
    return verdict.kind === 'reject' ? verdict : (refusal ?? verdict);
  }

  async #settleNext(next: UserQuestion['next']): Promise<Verdict> {
    if (next.kind === 'resolve') return await settle(next, this.#context);
    return next.kind === 'function' ? await this.#askRoute(next) : next;
  }

  async #askRoute(question: FunctionQuestion): Promise<Verdict> {
    const { functions, departed, hello, client } = this.#about;
    const { route } = question;
    // Workers follow a moment later than the main thread.
    const decide = functions.routes.get(route) ?? departed?.routes.get(route);
    try {
      if (decide === undefined) throw new Error('the route has no function any more');
      const answer = readRouteAnswer(await this.#call(call => decide(hello, client, call)));
      if (answer.kind === 'backends') return await this.#relayTo(answer.backends, question);
      return { ...rejection('denied', answer.answer, route), detail: 'decide' };
    } catch (error) {
      return this.#fail(`decide of route '${route}'`, `decide: ${summaryOf(error)}`, { route, error });
    }
  }

  async #askHook(
    name: 'onHello' | 'onVerdict',
    route: string | null,
    ask: (call: CallContext) => unknown,
  ): Promise<RejectVerdict | null> {
    try {
      const answer = readHookAnswer(await this.#call(ask));
      return answer === null ? null : { ...rejection('denied', answer, route), detail: name };
    } catch (error) {
      return this.#fail(`the hook ${name}`, `${name}: ${summaryOf(error)}`, { route, error });
    }
  }

  async #call<T>(call: (context: CallContext) => T | Promise<T>): Promise<T> {
    const startedMs = performance.now();
    try {
      return await callWithin(call, this.#about.functions.timeoutMs, this.#about.asker);
    } finally {
      this.waitedMs += performance.now() - startedMs;
    }
  }

  #fail(
    what: string,
    detail: string,
    { route, error }: { route: string | null; error: unknown },
  ): RejectVerdict {
    this.failure = { what, error };
    const refused = rejection('internal-error', this.#context.policies.dialFailed, route);
    return { ...refused, detail: detail.slice(0, LOGGED_BYTES_MAX) };
  }

  /** All names are looked up, beside each other; what leads nowhere, or may not be dialled, is left out. */
  async #relayTo(
    backends: readonly Backend[],
    { route, proxy, options }: FunctionQuestion,
  ): Promise<Verdict> {
    const found = await Promise.allSettled(
      backends.map(async backend => candidatesOf({ id: -1, proxy }, await this.#endpointsOf(backend))),
    );
    const candidates = found.flatMap((one): readonly Candidate[] =>
      one.status === 'fulfilled' ? one.value : [],
    );
    const failed = found.find(one => one.status === 'rejected');
    if (candidates.length === 0) return resolveFailure(failed?.reason, route, this.#context.policies);
    return { kind: 'relay', route, candidates, options: { ...options, retry: backends.length > 1 } };
  }

  /** A name that a function gives may come from the client: its addresses are guarded as if it did. */
  async #endpointsOf(backend: Backend) {
    const { guard, resolver, timeoutMs } = this.#context;
    const literal = literalEndpoint(backend);
    if (literal !== null) return guard.filter([literal], false);
    const { serverName } = this.#about.hello;
    const name = backend.kind === 'server-name' ? serverName : lookUpName(backend);
    const found = await resolver.resolve(name ?? '', { timeoutMs, fromClient: true });
    return guard.filter(dialOrder(found, portOf(backend)), true);
  }
}

function isGone(error: unknown): boolean {
  try {
    return error instanceof CallOver && error.isGone;
  } catch {
    // What was thrown can be anything, such as a proxy that lets nobody look at it.
    return false;
  }
}

function routeOf({ next }: UserQuestion): string | null {
  return next.route;
}

function rejection(
  endReason: RejectVerdict['endReason'],
  answer: Answer,
  route: string | null,
): RejectVerdict {
  return { kind: 'reject', endReason, answer, route, detail: null };
}
