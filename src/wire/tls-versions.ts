/** The versions of TLS that a client offers, as a set in one number: what many connections keep costs no list. */

/** From the highest to the lowest, as they stand in access lines. */
const VERSIONS = [
  { code: 0x0304, name: '1.3' },
  { code: 0x0303, name: '1.2' },
  { code: 0x0302, name: '1.1' },
  { code: 0x0301, name: '1.0' },
  { code: 0x0300, name: 'ssl3' },
] as const;

/** Every set there is, with its names; at most 32. */
const NAMES: readonly (readonly string[])[] = Array.from({ length: 1 << VERSIONS.length }, (_, set) =>
  Object.freeze(VERSIONS.filter((_version, bit) => (set & (1 << bit)) !== 0).map(({ name }) => name)),
);

/** The set of one version; empty, 0, for GREASE, drafts and whatever else is no version of TLS. */
export function versionBit(code: number): number {
  const bit = 0x0304 - code;
  return bit >= 0 && bit < VERSIONS.length ? 1 << bit : 0;
}

/** The versions of a set, the highest one first. The list is shared, and frozen. */
export function versionNames(set: number): readonly string[] {
  return NAMES[set] ?? [];
}
