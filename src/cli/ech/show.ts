/** `sniway ech show`: what is in a file of keys or a published list, for people. */
import { quote } from '../../config/plain-text.ts';
import { parseEchConfigList } from '../../ech/ech-config.ts';
import type { EchConfig } from '../../ech/ech-config.ts';
import { AEADS, KDFS, KEMS, isKnownAead, isKnownKem, isKnownSuite } from '../../ech/hpke-suites.ts';
import type { SymmetricSuite } from '../../ech/hpke-suites.ts';
import { publicNameFault } from '../../ech/public-name.ts';
import { LOGGED_BYTES_MAX } from '../../limits.ts';
import { escapeBytes } from '../../wire/host-name.ts';
import { readConfigs } from './input.ts';
import type { ReadConfigs } from './input.ts';
import type { Said } from './said.ts';

type Line = readonly [word: string, text: string];

const WORD_WIDTH = 14;
const KEM_TEXTS = { [KEMS.x25519]: 'X25519 with HKDF-SHA256', [KEMS.p256]: 'P-256 with HKDF-SHA256' };
const KDF_TEXTS = new Map<number, string>([
  [KDFS.hkdfSha256, 'HKDF-SHA256'],
  [0x0002, 'HKDF-SHA384'],
  [0x0003, 'HKDF-SHA512'],
]);
/** Clients leave a configuration aside if they do not know an extension with this bit (RFC 9849 section 4.2). */
const MANDATORY = 0x8000;
const OPEN_TO_OTHERS = 0o077;
/** Suites and extensions that are shown of one configuration; real ones have up to six. */
const SHOWN_MAX = 32;

/** @throws CommandError if it cannot be read, or has no configuration. */
export async function showConfigs(path: string, onlyList: boolean): Promise<Said> {
  const read = await readConfigs(path);
  if (onlyList) return { out: `${Buffer.from(read.list).toString('base64')}\n` };
  const lines: Line[] = [
    ...describeSource(read),
    ...read.configs.flatMap((config, index) => describeConfig(config, { read, number: index + 1 })),
  ];
  const out = lines.map(([word, text]) => `${`${word.padEnd(WORD_WIDTH)}${text}`.trimEnd()}\n`).join('');
  return { out, notes: warningsOf(read) };
}

function describeSource(read: ReadConfigs): Line[] {
  const { label, list, file, hasPrivateKey } = read;
  const parsed = parseEchConfigList(list);
  const others = parsed.ok ? parsed.otherVersions.map(version => hex(version)) : [];
  return [
    ['source', label],
    ...(file === null ? [] : [['written', describeAge(file.modifiedMs)] as const]),
    ['private key', hasPrivateKey ? 'there is one' : 'none: this opens nothing, and can only be published'],
    [
      'list',
      `${list.length} bytes, ${read.configs.length === 1 ? 'one configuration' : `${read.configs.length} configurations`}`,
    ],
    ...(others.length > 0 ? [['', `others of unknown versions: ${others.join(', ')}`] as const] : []),
  ];
}

function describeConfig(config: EchConfig, { read, number }: { read: ReadConfigs; number: number }): Line[] {
  const { configId, kem, publicKey, maximumNameLength, publicName, extensions, suites } = config;
  const isOwn = read.keys.some(key => Buffer.from(key.config).equals(config.raw));
  const fault = publicNameFault(publicName);
  const name = escapeBytes(Buffer.from(publicName, 'latin1'), LOGGED_BYTES_MAX);
  const [firstSuite = '', ...otherSuites] = firstOf(suites.map(describeSuite));
  return [
    ['', ''],
    [
      'configuration',
      `${number}${read.hasPrivateKey ? (isOwn ? ', of the private key' : ', of another private key') : ''}`,
    ],
    ['public name', fault === null ? name : `${name} (clients do not take it: ${fault})`],
    ['config id', String(configId)],
    ['kem', `${isKnownKem(kem) ? KEM_TEXTS[kem] : 'unknown here'} (${hex(kem)})`],
    ['public key', shorten(Buffer.from(publicKey).toString('hex'))],
    ['suites', firstSuite],
    ...otherSuites.map((text): Line => ['', text]),
    [
      'name length',
      maximumNameLength === 0
        ? '0: clients pad by multiples of 32 only'
        : `clients pad names to ${maximumNameLength} bytes`,
    ],
    ['extensions', extensions.length === 0 ? 'none' : firstOf(extensions.map(describeExtension)).join(', ')],
  ];
}

function describeSuite(suite: SymmetricSuite): string {
  const { kdf, aead } = suite;
  const cipher = isKnownAead(aead) ? AEADS[aead].cipher.toUpperCase() : 'unknown';
  const text = `${KDF_TEXTS.get(kdf) ?? 'unknown'} and ${cipher} (${hex(kdf)}, ${hex(aead)})`;
  return isKnownSuite(suite) ? text : `${text}: not opened here`;
}

function describeExtension(type: number): string {
  return (type & MANDATORY) === 0
    ? hex(type)
    : `${hex(type)} (clients that do not know it take another configuration)`;
}

function describeAge(modifiedMs: number): string {
  const at = new Date(modifiedMs).toISOString().replace(/\.\d+/, '');
  const minutes = Math.max(0, Math.floor((Date.now() - modifiedMs) / 60_000));
  const [count, unit] =
    minutes < 120
      ? [minutes, 'minute']
      : minutes < 48 * 60
        ? [Math.floor(minutes / 60), 'hour']
        : [Math.floor(minutes / 1440), 'day'];
  return `${at}, ${count} ${unit}${count === 1 ? '' : 's'} ago`;
}

function warningsOf({ file, hasPrivateKey }: ReadConfigs): readonly string[] {
  if (file === null || !hasPrivateKey || (file.mode & OPEN_TO_OTHERS) === 0) return [];
  return [`warn: ${quote(file.path)} has a private key and is open to other users: chmod 600 closes it`];
}

/** A list may have thousands of them. */
function firstOf(texts: readonly string[]): readonly string[] {
  if (texts.length <= SHOWN_MAX) return texts;
  return [...texts.slice(0, SHOWN_MAX), `and ${texts.length - SHOWN_MAX} more`];
}

/** A list may have keys of 64 KiB. */
function shorten(text: string): string {
  return text.length > LOGGED_BYTES_MAX ? `${text.slice(0, LOGGED_BYTES_MAX)}...` : text;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}
