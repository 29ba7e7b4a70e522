/** "Did you mean": the known word that a misspelt one is nearest to. */

/** Longer words are not compared: no known word is that long, and the comparison costs length times length. */
const WORD_CHARS_MAX = 40;

/** The nearest known word, or null if none is near; case, `-`, `_` and spaces count for nothing. */
export function nearestWord(word: string, words: readonly string[]): string | null {
  if (word.length > WORD_CHARS_MAX) return null;
  const plain = plainWord(word);
  let nearest: string | null = null;
  let least = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const candidate of words) {
    const distance = editDistance(plain, plainWord(candidate));
    if (distance < least && distance < candidate.length) {
      nearest = candidate;
      least = distance;
    }
  }
  return nearest;
}

/** ` (did you mean "backend"?)`, or nothing if no known word is near. */
export function didYouMean(word: string, words: readonly string[]): string {
  const nearest = nearestWord(word, words);
  return nearest === null ? '' : ` (did you mean "${nearest}"?)`;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
export function editDistance(left: string, right: string): number {
  let before: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row++) {
    const now = [row];
    for (let column = 1; column <= right.length; column++) {
      const replaced = left[row - 1] === right[column - 1] ? 0 : 1;
      let cost = Math.min(at(last, column) + 1, at(now, column - 1) + 1, at(last, column - 1) + replaced);
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && swapped) cost = Math.min(cost, at(before, column - 2) + 1);
      now.push(cost);
    }
    before = last;
    last = now;
  }
  return at(last, right.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}

function plainWord(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, '');
}
