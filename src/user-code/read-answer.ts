/** What functions of the user have answered, checked: they are programs, and can answer anything. */
import { parseBackend } from '../backends/backend-address.ts';
import type { Backend } from '../backends/backend-address.ts';
import { findAnswer } from '../config/answer.ts';
import { describeFound } from '../config/issue-findings.ts';
import { quote } from '../config/plain-text.ts';
import { isObject } from '../config/read-value.ts';
import { USER_BACKENDS_MAX } from '../limits.ts';
import type { Answer } from '../verdict.ts';

/** An answer that cannot be used; the message says why, and what to answer instead. */
export class UnfitAnswer extends Error {
  override readonly name = 'UnfitAnswer';
}

export type RouteAnswer =
  | { readonly kind: 'backends'; readonly backends: readonly [Backend, ...Backend[]] }
  | { readonly kind: 'reject'; readonly answer: Answer };

const FORMS = "answer 'host:port', { backend }, { backends: [...] } or { reject: 'close' }";

/** @throws UnfitAnswer */
export function readRouteAnswer(value: unknown): RouteAnswer {
  if (typeof value === 'string') return backendsOf([value]);
  if (!isObject(value)) throw new UnfitAnswer(`it answered ${describeFound(value)}: ${FORMS}`);
  const keys = Object.keys(value).filter(key => value[key] !== undefined);
  if (keys.length !== 1) throw new UnfitAnswer(`it answered an object with ${keys.length} keys: ${FORMS}`);
  const { backend, backends, reject } = value;
  if (backend !== undefined) return backendsOf([backend]);
  if (Array.isArray(backends)) return backendsOf(backends);
  if (reject !== undefined) return { kind: 'reject', answer: readReject(reject) };
  throw new UnfitAnswer(`it answered an object with ${quote(keys[0] ?? '')}: ${FORMS}`);
}

/**
 * Null for a hook that lets the connection pass.
 * @throws UnfitAnswer
 */
export function readHookAnswer(value: unknown): Answer | null {
  if (value === undefined) return null;
  if (isObject(value) && Object.keys(value).join(',') === 'reject') return readReject(value.reject);
  throw new UnfitAnswer(`it answered ${describeFound(value)}: answer nothing, or { reject: 'close' }`);
}

function backendsOf(texts: readonly unknown[]): RouteAnswer {
  if (texts.length > USER_BACKENDS_MAX)
    throw new UnfitAnswer(`it answered ${texts.length} backends: at most ${USER_BACKENDS_MAX} are tried`);
  const [first, ...others] = texts.map(readBackend);
  if (first === undefined) throw new UnfitAnswer('it answered an empty list of backends');
  return { kind: 'backends', backends: [first, ...others] };
}

function readBackend(value: unknown): Backend {
  if (typeof value !== 'string') throw new UnfitAnswer(`a backend is text, not ${describeFound(value)}`);
  const parsed = parseBackend(value);
  if (!parsed.ok) throw new UnfitAnswer(parsed.message);
  return parsed.backend;
}

function readReject(value: unknown): Answer {
  const answer = typeof value === 'string' ? findAnswer(value) : null;
  if (answer !== null) return answer;
  throw new UnfitAnswer(`it rejected with ${describeFound(value)}: close, reset or the name of a TLS alert`);
}
