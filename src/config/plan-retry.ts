/** Who tells clients with an old key of the new one: for each public name a certificate and a list. */
import { encodeEchConfigList, parseEchConfig } from '../ech/ech-config.ts';
import { publicNameFault } from '../ech/public-name.ts';
import { retryTermsFault } from '../ech/retry-responder.ts';
import type { RetryTerms } from '../ech/retry-responder.ts';
import { compareAge } from './ech-files.ts';
import type { EchFile } from './ech-files.ts';
import { coversName } from './ech-retry.ts';
import type { RetryIdentityFile } from './ech-retry.ts';
import { quote } from './plain-text.ts';

export interface RetryPlan {
  /** Plain data, one for each public name that a certificate covers. */
  readonly terms: readonly RetryTerms[];
  /** Each a sentence without a full stop. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Gives each public name the certificate that covers it and expires last, and the configurations of its newest file
 * alone: whoever asks has an old one, and is to get rid of it. Names that clients do not take are left aside.
 *
 * @param identities Those without an identity, whose problems are told elsewhere, are left aside.
 */
export function planRetry(files: readonly EchFile[], identities: readonly RetryIdentityFile[]): RetryPlan {
  const lists = newestLists(files);
  const terms: RetryTerms[] = [];
  const problems: string[] = [];
  const warnings: string[] = [];
  for (const [publicName, list] of lists) {
    const identity = findIdentity(publicName, identities);
    if (identity === null) {
      warnings.push(
        `no certificate for retries covers the public name ${quote(publicName)}: clients with an old key for it are not told of the new one`,
      );
      continue;
    }
    const one = { publicName, list, identity };
    const fault = retryTermsFault(one);
    if (fault === null) terms.push(one);
    else problems.push(fault);
  }
  for (const { identity, certificatePath } of identities) {
    if (identity === null || lists.size === 0) continue;
    if ([...lists.keys()].some(name => coversName(identity, name))) continue;
    const names = [...lists.keys()].map(quote).join(', ');
    problems.push(
      `the certificate in ${quote(certificatePath)} covers none of the public names (${names}): get one for them`,
    );
  }
  return { terms, problems, warnings };
}

/** By public name in lower case: the configurations in its newest file that have a private key. */
function newestLists(files: readonly EchFile[]): ReadonlyMap<string, Uint8Array> {
  const lists = new Map<string, Uint8Array>();
  for (const { keys } of files.toSorted(compareAge)) {
    const byName = new Map<string, Uint8Array[]>();
    for (const { config } of keys) {
      const name = parseEchConfig(config)?.publicName.toLowerCase() ?? '';
      if (publicNameFault(name) !== null) continue;
      byName.set(name, [...(byName.get(name) ?? []), config]);
    }
    for (const [name, configs] of byName) lists.set(name, encodeEchConfigList(configs));
  }
  return lists;
}

function findIdentity(
  publicName: string,
  identities: readonly RetryIdentityFile[],
): RetryTerms['identity'] | null {
  const byExpiry = identities.toSorted((one, other) => other.validToMs - one.validToMs);
  const found = byExpiry.find(({ identity }) => identity !== null && coversName(identity, publicName));
  return found?.identity ?? null;
}
