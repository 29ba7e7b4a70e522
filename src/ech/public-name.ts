/** Names that clients take as the public name of a configuration (RFC 9849 section 6.1.7). */
import { LABEL_BYTES_MAX } from '../limits.ts';

/** The field has a length of one byte. */
const PUBLIC_NAME_BYTES_MAX = 255;
const LABEL = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;
const NUMBER = /^(?:[0-9]+|0[xX][0-9A-Fa-f]*)$/;

/**
 * Why clients would leave a configuration with this name aside, as a clause about "it"; null for a fit one. A last label
 * that is a number would make an IPv4 address of it.
 */
export function publicNameFault(name: string): string | null {
  if (name === '') return 'it is empty';
  if (name.length > PUBLIC_NAME_BYTES_MAX) return `it has more than ${PUBLIC_NAME_BYTES_MAX} bytes`;
  const labels = name.split('.');
  if (labels.includes('')) return 'it begins or ends with a dot, or has two in a row';
  if (labels.some(label => label.length > LABEL_BYTES_MAX)) {
    return `a label of it has more than ${LABEL_BYTES_MAX} bytes`;
  }
  if (!labels.every(label => LABEL.test(label))) {
    return "its labels may only have letters, digits and, within, '-'";
  }
  return NUMBER.test(labels.at(-1) ?? '') ? 'its last label is a number, as that of an IP address' : null;
}
