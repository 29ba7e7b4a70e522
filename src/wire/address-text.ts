/** IP addresses: the text people write and the bytes the kernel takes. Text comes out as inet_ntop(3) gives it. */

/** Puts the four bytes of dotted-decimal `text`, checked before, at `offset`. */
export function writeIPv4(view: DataView, offset: number, text: string): void {
  let at = offset;
  for (const part of text.split('.')) view.setUint8(at++, Number(part));
}

export function readIPv4(view: DataView, offset: number): string {
  const byte = (index: number): number => view.getUint8(offset + index);
  return `${byte(0)}.${byte(1)}.${byte(2)}.${byte(3)}`;
}

/** Puts the sixteen bytes of IPv6 `text`, checked before and without a zone, at `offset` (RFC 4291 section 2.2). */
export function writeIPv6(view: DataView, offset: number, text: string): void {
  const [head = '', tail] = text.split('::');
  const front = groupsOf(head);
  const back = tail === undefined ? [] : groupsOf(tail);
  for (let index = 0; index < 8; index++) {
    const fromBack = index - (8 - back.length);
    view.setUint16(offset + 2 * index, front[index] ?? back[fromBack] ?? 0);
  }
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap(group => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** The canonical text of RFC 5952: lower case, no leading zeros, the first longest run of zero groups as `::`. */
export function readIPv6(view: DataView, offset: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => view.getUint16(offset + 2 * index));
  if (isIPv4Mapped(view, offset)) return `::ffff:${readIPv4(view, offset + 12)}`;
  const { start, length } = longestZeroRun(groups);
  if (length < 2) return hexGroups(groups);
  return `${hexGroups(groups.slice(0, start))}::${hexGroups(groups.slice(start + length))}`;
}

function hexGroups(groups: readonly number[]): string {
  return groups.map(group => group.toString(16)).join(':');
}

/** True for `::ffff:a.b.c.d`, an IPv4 peer on a socket of both families (RFC 4291 section 2.5.5.2). */
export function isIPv4Mapped(view: DataView, offset: number): boolean {
  return (
    view.getUint32(offset) === 0 && view.getUint32(offset + 4) === 0 && view.getUint32(offset + 8) === 0xffff
  );
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  }
  return best;
}

const DECIMAL_BYTE = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
const IPV4 = new RegExp(`^${DECIMAL_BYTE}(?:\\.${DECIMAL_BYTE}){3}$`);
const IPV6_GROUP = /^[0-9a-fA-F]{1,4}$/;

/** Whether this is an IPv4 address in its one canonical spelling: four decimal numbers without leading zeros. */
export function isIPv4Text(text: string): boolean {
  return IPV4.test(text);
}

/** Whether this is an IPv6 address as RFC 4291 section 2.2 spells it, without a zone. */
export function isIPv6Text(text: string): boolean {
  const [head = '', tail, more] = text.split('::');
  if (more !== undefined) return false;
  const front = countGroups(head, tail === undefined);
  if (tail === undefined) return front === 8;
  const back = countGroups(tail, true);
  return front >= 0 && back >= 0 && front + back <= 7;
}

/** Groups of 16 bits in a part of an address, -1 where it is none; only the last one may end in an IPv4 address. */
function countGroups(part: string, isLast: boolean): number {
  if (part === '') return 0;
  const groups = part.split(':');
  const embedded = isLast && IPV4.test(groups.at(-1) ?? '');
  const plain = embedded ? groups.slice(0, -1) : groups;
  return plain.every(group => IPV6_GROUP.test(group)) ? plain.length + (embedded ? 2 : 0) : -1;
}
