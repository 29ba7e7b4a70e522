/** The hello that counts: the one in clear, or the one that was encrypted in it. */
import type { EchAccepted } from './ech/ech-opener.ts';
import type { Decider } from './decide.ts';
import { takePlaces } from './limiting/limiter.ts';
import type { LimitScope } from './limiting/limiter.ts';
import type { Client, Refusal } from './verdict.ts';
import type { ClientHello } from './wire/client-hello.ts';

/** Null: the hello counts as it is. */
export type OpenedHello = EchAccepted | { readonly kind: 'refused'; readonly refusal: Refusal } | null;

/**
 * Opens an encrypted hello, where there are keys, and tells the client's facts of it.
 * @param recordVersion Of the record that the hello came in.
 */
export function openHello(
  hello: ClientHello,
  recordVersion: number,
  client: Client,
  decider: Decider,
): OpenedHello {
  const { ech } = decider.snapshot;
  if (ech === null || hello.echOffset === 0) return null;
  const startedMs = performance.now();
  const opening = ech.opener.open(hello, recordVersion);
  const openMs = performance.now() - startedMs;
  const facts = { outerName: hello.serverName, openMs, isHidden: ech.hidesInnerNames };
  switch (opening.kind) {
    case 'none':
      return null;
    case 'illegal':
      return { kind: 'refused', refusal: { kind: 'illegal-ech', illegal: opening } };
    case 'undecryptable': {
      const { configId, isPublicName } = opening;
      client.ech = { kind: 'undecryptable', configId, isPublicName, ...facts };
      return ech.responder.answersFor(hello.serverName) ? answerRetry(hello, client, decider) : null;
    }
    case 'accepted': {
      const { configId, publicName } = opening;
      const isPublicName = hello.serverName === publicName;
      client.ech = { kind: 'accepted', configId, isPublicName, ...facts };
      return opening;
    }
  }
}

const BUSY: OpenedHello = { kind: 'refused', refusal: { kind: 'limit', detail: 'ech retries' } };

/**
 * Tells the client of fresh keys, within the limits of the listener and the proxy; null where a fallback takes it because
 * there is too much to do.
 */
function answerRetry(hello: ClientHello, client: Client, { snapshot, live }: Decider): OpenedHello {
  const { ech, scope } = snapshot;
  const busy = ech?.fallback ? null : BUSY;
  if (ech === null || !ech.shares.take(client.peer)) return busy;
  const scopes = [client.listener.facts.scope, scope].filter((one): one is LimitScope => one !== null);
  const places = takePlaces(live.limits, scopes, { peer: client.peer, serverName: hello.serverName ?? '' });
  if (!places.ok) return { kind: 'refused', refusal: { kind: 'limit', detail: places.limit } };
  const answer = ech.responder.answer(hello);
  if (answer?.kind === 'flight') {
    client.ticket = places.ticket;
    return { kind: 'refused', refusal: { kind: 'ech-retry', flight: answer.bytes } };
  }
  places.ticket.release();
  return answer?.kind === 'illegal'
    ? { kind: 'refused', refusal: { kind: 'illegal-ech', illegal: answer } }
    : busy;
}
