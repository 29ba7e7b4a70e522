/** What records of ended connections add up to, by route and by listener: never by a name that a client chose. */
import { ECH_BACKENDS, ECH_OFFERS, END_REASONS } from '../events.ts';
import type { ConnectionEnded, EndReason } from '../events.ts';
import { METRICS_ROUTES_MAX } from '../limits.ts';
import { Histogram } from './exposition.ts';
import type { Exposition, Labels, Sample } from './exposition.ts';

/** The label of connections that no route took; it stands in access lines for them too. */
const NO_ROUTE = '-';
/** The label of all routes beyond those that have series of their own. */
const OTHER_ROUTES = '(others)';

/** Seconds; a backend on the same network answers within a millisecond, one time-out takes five seconds. */
const DIAL_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const HELLO_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** One key exchange takes 0.1 to 0.3 ms; many keys that fit take longer. */
const ECH_OPEN_BOUNDS = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01];
/** From a refusal to a day of an open tunnel. */
const CONNECTION_BOUNDS = [0.01, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400];

const REASON_INDEX = new Map<EndReason, number>(END_REASONS.map((reason, index) => [reason, index]));

class RouteTally {
  readonly reasons = new Float64Array(END_REASONS.length);
  readonly dial = new Histogram(DIAL_BOUNDS);
  readonly connection = new Histogram(CONNECTION_BOUNDS);
  bytesFromClient = 0;
  bytesFromBackend = 0;
  retries = 0;
  /** What its backends have made of inner hellos, in the order of ECH_BACKENDS. */
  readonly echBackends = new Float64Array(ECH_BACKENDS.length);

  add(record: ConnectionEnded): void {
    const { endReason, dialMs, totalMs, attempts, bytesFromClient, bytesFromBackend, echBackend } = record;
    if (echBackend !== null) this.echBackends[ECH_BACKENDS.indexOf(echBackend)]! += 1;
    this.reasons[REASON_INDEX.get(endReason)!]! += 1;
    if (dialMs !== null) this.dial.observe(dialMs / 1_000);
    this.connection.observe(totalMs / 1_000);
    this.bytesFromClient += bytesFromClient;
    this.bytesFromBackend += bytesFromBackend;
    if (attempts > 1) this.retries += attempts - 1;
  }
}

/** What has come of Encrypted ClientHello, whatever the route. */
class EchTally {
  readonly #hellos = new Float64Array(ECH_OFFERS.length);
  readonly #open = new Histogram(ECH_OPEN_BOUNDS);
  #retried = 0;
  #failed = 0;

  add({ ech, echOpenMs, echRetried, endReason }: ConnectionEnded): void {
    if (ech === null) return;
    this.#hellos[ECH_OFFERS.indexOf(ech)]! += 1;
    if (echOpenMs !== null) this.#open.observe(echOpenMs / 1_000);
    if (echRetried) this.#retried++;
    else if (ech === 'accepted' && (endReason === 'hello-malformed' || endReason === 'hello-timeout')) {
      this.#failed++;
    }
  }

  writeTo(to: Exposition): void {
    to.counter(
      'sniway_ech_hellos_total',
      'Hellos by what has come of Encrypted ClientHello in them.',
      ECH_OFFERS.map((outcome, index): Sample => [{ outcome }, this.#hellos[index]!]),
    );
    to.histogram('sniway_ech_open_seconds', 'For opening an encrypted hello, or finding that no key does.', [
      [{}, this.#open],
    ]);
    to.counter(
      'sniway_ech_second_hellos_total',
      'Second hellos that backends have asked for, and whether they could be opened.',
      [
        [{ result: 'success' }, this.#retried],
        [{ result: 'failure' }, this.#failed],
      ],
    );
  }
}

export class RecordTallies {
  readonly #routes = new Map<string, RouteTally>();
  readonly #listeners = new Map<string, number>();
  readonly #hello = new Histogram(HELLO_BOUNDS);
  readonly #resolve = new Histogram(HELLO_BOUNDS);
  readonly #ech = new EchTally();

  add(record: ConnectionEnded): void {
    const { route, listener, helloMs, resolveMs } = record;
    this.#ech.add(record);
    this.#tallyOf(route ?? NO_ROUTE).add(record);
    this.#listeners.set(listener, (this.#listeners.get(listener) ?? 0) + 1);
    if (helloMs !== null) this.#hello.observe(helloMs / 1_000);
    if (resolveMs !== null) this.#resolve.observe(resolveMs / 1_000);
  }

  writeTo(to: Exposition): void {
    to.counter(
      'sniway_route_connections_total',
      'Connections that ended, by route and end reason.',
      this.#each(reasonsOf),
    );
    to.counter(
      'sniway_route_bytes_total',
      'Bytes relayed by connections that ended, by who sent them.',
      this.#each((labels, tally) => [
        [{ ...labels, from: 'client' }, tally.bytesFromClient],
        [{ ...labels, from: 'backend' }, tally.bytesFromBackend],
      ]),
    );
    to.counter(
      'sniway_route_retries_total',
      'Further addresses or backends dialled after a first one.',
      this.#each((labels, { retries }) => [[labels, retries]]),
    );
    to.histogram(
      'sniway_route_dial_seconds',
      'From the verdict to a connected backend.',
      this.#each((labels, { dial }) => [[labels, dial]]),
    );
    to.histogram(
      'sniway_route_connection_seconds',
      'From accept to the end of a connection.',
      this.#each((labels, { connection }) => [[labels, connection]]),
    );
    to.counter(
      'sniway_listener_connections_total',
      'Connections that ended, by listener.',
      [...this.#listeners].map(([listener, count]): Sample => [{ listener }, count]),
    );
    to.histogram('sniway_hello_seconds', 'From accept to the complete ClientHello.', [[{}, this.#hello]]);
    to.histogram(
      'sniway_resolve_seconds',
      'From the complete ClientHello to the verdict, look-up included.',
      [[{}, this.#resolve]],
    );
    this.#ech.writeTo(to);
    to.counter(
      'sniway_ech_backend_answers_total',
      'Answers of backends to inner hellos, by whether they have taken them for such.',
      this.#each((labels, { echBackends }) =>
        ECH_BACKENDS.flatMap((answer, index): Sample[] =>
          echBackends[index] === 0 ? [] : [[{ ...labels, answer }, echBackends[index]!]],
        ),
      ),
    );
  }

  #tallyOf(route: string): RouteTally {
    const known = this.#routes.get(route);
    if (known !== undefined) return known;
    // Two places are kept, for connections without a route and for the others.
    const isSpecial = route === NO_ROUTE || route === OTHER_ROUTES;
    if (!isSpecial && this.#routes.size >= METRICS_ROUTES_MAX) return this.#tallyOf(OTHER_ROUTES);
    const tally = new RouteTally();
    this.#routes.set(route, tally);
    return tally;
  }

  *#each<T>(samplesOf: (labels: Labels, tally: RouteTally) => readonly T[]): Generator<T> {
    for (const [route, tally] of this.#routes) yield* samplesOf({ route }, tally);
  }
}

/** Reasons that never came have no series: a route would have dozens. */
function reasonsOf(labels: Labels, { reasons }: RouteTally): Sample[] {
  return END_REASONS.flatMap((reason, index): Sample[] => {
    const count = reasons[index]!;
    return count === 0 ? [] : [[{ ...labels, reason }, count]];
  });
}
