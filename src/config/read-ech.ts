/** What a configuration says about Encrypted ClientHello, with the keys of its files. */
import { parseEchConfig } from '../ech/ech-config.ts';
import { publicNameFault } from '../ech/public-name.ts';
import type { EchKey } from '../ech/ech-opener.ts';
import type { EchKeyInfo } from '../events.ts';
import { createRouteTable } from '../routing/route-table.ts';
import type { PlainEch, PlainRoute } from '../snapshot.ts';
import { nameRoutes } from './check-routes.ts';
import { readRetryIdentity } from './ech-retry.ts';
import { readEchFiles } from './ech-files.ts';
import type { EchFile } from './ech-files.ts';
import { isFileContent } from './file-path.ts';
import type { Finding, ProblemPath } from './findings.ts';
import { errorAt } from './findings.ts';
import { didYouMean } from './nearest-word.ts';
import { quote } from './plain-text.ts';
import { planRetry } from './plan-retry.ts';
import type { RouteDraft } from './read-routes.ts';
import { asObject, asPlaced, asTexts, isObject } from './read-value.ts';

export interface ReadEch {
  readonly plain: PlainEch;
  readonly keys: readonly EchKeyInfo[];
}

type Values = Readonly<Record<string, unknown>>;

/** Reads the keys and checks everything against the routes; null without `ech`. */
export function readEch(input: unknown, drafts: readonly RouteDraft[], findings: Finding[]): ReadEch | null {
  const { ech } = asObject(input);
  if (!isObject(ech)) return null;
  const paths = asTexts(ech.keys, []).flatMap(({ text }) => (isFileContent(text) ? [] : [text]));
  const { files, keys, problems, warnings } = readEchFiles(paths);
  const at = ['ech', 'keys'];
  findings.push(...problems.map(message => errorAt(at, message)));
  findings.push(...warnings.map(message => warningAt(at, message)));
  if (keys.length === 0 && problems.length === 0 && paths.length > 0) {
    findings.push(errorAt(at, 'there is no private key in it: sniway ech keygen makes one'));
  }
  findings.push(...files.flatMap(findUnfitNames), ...findHiddenNames(ech, drafts));
  findings.push(...findAmbiguousWord(ech, drafts));
  const retry = readRetry(ech, files, findings);
  return { plain: { keys, retry, ...readSettings(ech) }, keys: describeLoaded(keys, files) };
}

/** The certificates for public names, with what is told under each. */
function readRetry({ retry }: Values, files: readonly EchFile[], findings: Finding[]): PlainEch['retry'] {
  const identities = asPlaced(retry, ['ech', 'retry']).flatMap(({ value, path }) => {
    const { certificate, key } = asObject(value);
    if (typeof certificate !== 'string' || typeof key !== 'string') return [];
    if (isFileContent(certificate) || isFileContent(key)) return [];
    const identity = readRetryIdentity(certificate, key);
    findings.push(...identity.problems.map(message => errorAt(path, message)));
    findings.push(...identity.warnings.map(message => warningAt(path, message)));
    return [identity];
  });
  if (identities.length === 0) return [];
  const { terms, problems, warnings } = planRetry(files, identities);
  findings.push(...problems.map(message => errorAt(['ech', 'retry'], message)));
  findings.push(...warnings.map(message => warningAt(['ech', 'retry'], message)));
  return terms;
}

function readSettings(ech: Values): Omit<PlainEch, 'keys' | 'retry'> {
  const { fallback, unknownInner } = ech;
  return {
    fallback: typeof fallback === 'string' ? fallback : null,
    unknownInner: typeof unknownInner === 'string' && unknownInner !== ALERT ? unknownInner : null,
    requirePublicName: ech.requirePublicName === true,
    trialDecryption: ech.trialDecryption === true,
    verifiesBackends: ech.verifyBackend !== 'off',
    hidesInnerNames: ech.logInnerName === false,
  };
}

/** The word for no route. */
const ALERT = 'alert';

/** What is wrong with `ech` and the `ech` of routes, once all routes have their names. */
export function findEchProblems(ech: ReadEch | null, drafts: readonly RouteDraft[]): Finding[] {
  if (ech === null) return findWithoutKeys(drafts);
  const { plain } = ech;
  const routes = nameRoutes(drafts);
  return [
    ...findStranger(plain.fallback, 'fallback', routes),
    ...findStranger(plain.unknownInner, 'unknownInner', routes),
    ...findDialledUnknown(plain.unknownInner, routes),
    ...(plain.fallback === null ? findLostPublicNames(ech, routes) : []),
  ];
}

/** A route that can only be reached encrypted, where nothing encrypted is opened, is a mistake. */
function findWithoutKeys(drafts: readonly RouteDraft[]): Finding[] {
  return drafts.flatMap(({ ech, path }) =>
    ech === 'required'
      ? [
          errorAt(
            [...path, 'ech'],
            'nothing can be encrypted without keys: add ech: { keys: [...] } at the top',
          ),
        ]
      : [],
  );
}

function findStranger(name: string | null, key: string, routes: readonly PlainRoute[]): Finding[] {
  const names = routes.map(route => route.name);
  if (name === null || names.includes(name)) return [];
  const message = `no route is called ${quote(name)}${didYouMean(name, names)}: give the "name" of a route`;
  return [errorAt(['ech', key], message)];
}

/** `{sni}` would dial names that no route lets through. */
function findDialledUnknown(name: string | null, routes: readonly PlainRoute[]): Finding[] {
  const route = routes.find(one => one.name === name);
  if (route?.action.kind !== 'relay') return [];
  if (!route.action.pool.backends.some(({ backend }) => backend.kind === 'server-name')) return [];
  const message = `route ${quote(route.name)} dials whatever name it is asked for: give one with fixed backends`;
  return [errorAt(['ech', 'unknownInner'], message)];
}

/** Public names whose stale clients are told nothing by this proxy itself. */
function unansweredNames({ plain, keys }: ReadEch): readonly string[] {
  const answered = new Set(plain.retry.map(({ publicName }) => publicName));
  const names = new Set(keys.map(({ publicName }) => publicName));
  return [...names].filter(name => publicNameFault(name) === null && !answered.has(name));
}

function findLostPublicNames(ech: ReadEch, routes: readonly PlainRoute[]): Finding[] {
  const { table } = createRouteTable(routes);
  return unansweredNames(ech).flatMap(name => {
    const route = routes[table.match(name, { alpnProtocols: [] })];
    if (route !== undefined && route.ech !== 'required') return [];
    const cause =
      route === undefined
        ? `no route takes the public name ${quote(name)}`
        : `route ${quote(route.name)}, which takes the public name ${quote(name)}, has ech: required`;
    const message = `clients with an old key get nowhere: ${cause}; say in "fallback" which one does, or give "retry" a certificate for it`;
    return [warningAt(['ech'], message)];
  });
}

/** A route without a name is called by its first pattern, which mostly is the name that is not to be told. */
function findHiddenNames(ech: Values, drafts: readonly RouteDraft[]): Finding[] {
  if (ech.logInnerName !== false) return [];
  const reason = 'its pattern would stand in access lines, which "logInnerName: false" is against';
  return drafts.flatMap(draft => {
    if (draft.name !== null || draft.ech === 'off') return [];
    const remedy = isSuffix(draft) ? `write it as a route, ${describeAsRoute(draft)}` : 'give it a "name"';
    return [errorAt(draft.path, `${reason}: ${remedy}`)];
  });
}

/** A suffix is a text, which has no room for a name. */
function isSuffix({ path }: RouteDraft): boolean {
  return path[0] === 'suffixes';
}

function describeAsRoute({ patterns, action }: RouteDraft): string {
  const backend = action?.kind === 'relay' ? action.pool.backends[0]?.backend : undefined;
  const port = backend?.kind === 'server-name' ? backend.port : 443;
  const match = patterns.map(({ text }) => quote(text)).join(', ');
  return `{ name: "...", match: ${match}, backend: "{sni}:${port}" }`;
}

/** The word wins, so that whoever means the route would get the alert without a word. */
function findAmbiguousWord({ unknownInner }: Values, drafts: readonly RouteDraft[]): Finding[] {
  if (unknownInner !== ALERT || !nameRoutes(drafts).some(({ name }) => name === ALERT)) return [];
  const message = `a route is called "${ALERT}", which here is the word for no route: give that route another name, or leave the key out for the alert`;
  return [errorAt(['ech', 'unknownInner'], message)];
}

/** A name that is hidden by such a key goes in clear, since clients leave its configuration aside. */
function findUnfitNames(file: EchFile): Finding[] {
  const names = new Set(describeLoaded(file.keys, [file]).map(({ publicName }) => publicName));
  return [...names].flatMap(name => {
    const fault = publicNameFault(name);
    if (fault === null) return [];
    const message = `${quote(file.path)} has the public name ${quote(name)}, which clients do not take: ${fault}; take it away, and make a key with sniway ech keygen`;
    return [warningAt(['ech', 'keys'], message)];
  });
}

/** One for each key; a copy of it does not make it younger. */
function describeLoaded(keys: readonly EchKey[], files: readonly EchFile[]): readonly EchKeyInfo[] {
  return keys.flatMap(({ config }) => {
    const holders = files.filter(file => file.keys.some(key => Buffer.from(key.config).equals(config)));
    const modifiedAtMs = Math.min(...holders.map(({ modifiedMs }) => modifiedMs));
    const parsed = parseEchConfig(config);
    if (parsed === null) return [];
    const { configId, publicName } = parsed;
    return [{ configId, publicName: publicName.toLowerCase(), modifiedAtMs }];
  });
}

function warningAt(path: ProblemPath, message: string): Finding {
  return { ...errorAt(path, message), severity: 'warning' };
}
