/** What resolv.conf(5) says about names that are not whole: search domains, and which names they are tried for first. */
import { DNS_SERVERS_MAX, NAME_BYTES_MAX, SEARCH_DOMAINS_MAX } from '../limits.ts';

export interface ResolvConf {
  readonly nameservers: readonly string[];
  readonly search: readonly string[];
  /** A name with fewer dots is tried under the search domains first, then as it is; any other the other way round. */
  readonly ndots: number;
}

/** The kernel of resolv.conf(5): ndots may be 0 to 15, and is 1 by default. */
const NDOTS_DEFAULT = 1;
const NDOTS_MAX = 15;

/** The last `search` or `domain` line counts; what cannot be read is passed over. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: string[] = [];
  let search: readonly string[] = [];
  let ndots = NDOTS_DEFAULT;
  for (const line of text.split('\n')) {
    const [word, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (word === 'nameserver') nameservers.push(...values.slice(0, 1));
    if (word === 'search' || word === 'domain') search = values.map(domain => domain.replace(/\.$/, ''));
    for (const option of word === 'options' ? values : []) {
      const digits = /^ndots:([0-9]{1,3})$/.exec(option)?.[1];
      if (digits !== undefined) ndots = Math.min(Number(digits), NDOTS_MAX);
    }
  }
  return {
    nameservers: nameservers.slice(0, DNS_SERVERS_MAX),
    search: search.filter(domain => domain !== '').slice(0, SEARCH_DOMAINS_MAX),
    ndots,
  };
}

/** The whole names a name may stand for, in the order to ask for them. */
export function searchNames(name: string, { search, ndots }: ResolvConf): string[] {
  const dots = name.split('.').length - 1;
  const under = search
    .map(domain => `${name}.${domain}`)
    .filter(candidate => candidate.length <= NAME_BYTES_MAX);
  return dots >= ndots ? [name, ...under] : [...under, name];
}
