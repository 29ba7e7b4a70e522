/** The hello that counts: the one in clear, or the one that was encrypted in it. */
import type { EchAccepted } from './ech/ech-opener.ts';
import type { RetryAnswer } from './ech/retry-responder.ts';
import type { Snapshot } from './snapshot.ts';
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
  { client, ech }: { client: Client; ech: Snapshot['ech'] },
): OpenedHello {
  if (ech === null || hello.ech === 'none') return null;
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
      return isPublicName ? answerRetry(ech.responder.answer(hello)) : null;
    }
    case 'accepted': {
      const { configId, publicName } = opening;
      const isPublicName = hello.serverName === publicName;
      client.ech = { kind: 'accepted', configId, isPublicName, ...facts };
      return opening;
    }
  }
}

/** Null where a route takes it. */
function answerRetry(answer: RetryAnswer): OpenedHello {
  if (answer === null) return null;
  switch (answer.kind) {
    case 'flight':
      return { kind: 'refused', refusal: { kind: 'ech-retry', flight: answer.bytes } };
    case 'busy':
      return { kind: 'refused', refusal: { kind: 'limit', detail: 'ech retries' } };
    case 'illegal':
      return { kind: 'refused', refusal: { kind: 'illegal-ech', illegal: answer } };
  }
}
