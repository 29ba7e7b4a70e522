/** IP addresses as numbers: what networks are compared with, and what limits are counted by. */
import { isIP } from 'node:net';

/** An address as four 32-bit numbers; an IPv4 address is the last of them, most significant byte first. */
export interface NumericAddress {
  /** 0 for a client without an IP address: one of a Unix-domain socket, or one that had gone. */
  readonly family: 0 | 4 | 6;
  /** Signed or unsigned; for IPv4 only the last one counts, the others may hold the prefix of mapped addresses. */
  readonly words: readonly [number, number, number, number];
}

const NO_ADDRESS: NumericAddress = { family: 0, words: [0, 0, 0, 0] };

/** The first 96 bits of IPv4-mapped addresses (RFC 4291 section 2.5.5.2). */
export const MAPPED_BITS = 96;

/** Parses an address in text form, a zone left out; an IPv4-mapped one comes out as IPv4, anything else as none. */
export function parseAddress(text: string): NumericAddress {
  const bare = text.includes('%') ? text.slice(0, text.indexOf('%')) : text;
  const family = isIP(bare);
  if (family === 4) return { family, words: [0, 0, 0, parseIPv4(bare)] };
  if (family !== 6) return NO_ADDRESS;
  const words = parseIPv6(bare);
  return isMapped(words) ? { family: 4, words: [0, 0, 0, words[3]] } : { family, words };
}

export function isMapped([first, second, third]: NumericAddress['words']): boolean {
  return first === 0 && second === 0 && third === 0xffff;
}

function parseIPv4(text: string): number {
  return text.split('.').reduce((number, part) => (number << 8) | Number(part), 0);
}

function parseIPv6(text: string): [number, number, number, number] {
  const [head = '', tail] = text.split('::');
  const before = parseGroups(head);
  const after = tail === undefined ? [] : parseGroups(tail);
  const between = Array.from({ length: 8 - before.length - after.length }, () => 0);
  const groups = [...before, ...between, ...after];
  const word = (index: number): number => ((groups[index] ?? 0) << 16) | (groups[index + 1] ?? 0);
  return [word(0), word(2), word(4), word(6)];
}

function parseGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap(group => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const word = parseIPv4(group);
    return [word >>> 16, word & 0xffff];
  });
}
