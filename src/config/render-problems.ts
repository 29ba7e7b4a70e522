/** Problems of a configuration as an operator reads them: place, severity, text, and the line of the file. */
import { describePath } from './describe-path.ts';
import { CONFIG_PROBLEMS_MAX } from '../limits.ts';
import type { ConfigSource, FilePosition } from './config-source.ts';
import type { SpottedProblem } from './findings.ts';
import { escapeControls } from './plain-text.ts';

/** Characters of a source line that are shown: one terminal line; the rest is cut, the place stays in sight. */
const LINE_CHARS_MAX = 120;
/** Characters before the place that are kept when a line is cut. */
const CHARS_BEFORE = 40;
/** Characters of the column that line numbers stand in. */
const NUMBER_CHARS = 5;

/**
 * All problems in the order of the file and of those it includes, the first CONFIG_PROBLEMS_MAX of them and a count of the rest; each as
 * `sniway.yaml:4:5  error  text` with its source line, as `sniway.config.mjs  routes[0].match  error  text`, or as `routes[0].match  error  text` without a source.
 * No final newline; empty without problems.
 */
export function renderProblems(problems: readonly SpottedProblem[], source?: ConfigSource): string {
  const rendered =
    source === undefined
      ? problems.slice(0, CONFIG_PROBLEMS_MAX).map(renderBare)
      : renderAll(problems, source);
  const rest = problems.length - rendered.length;
  if (rest > 0) rendered.push(`... and ${rest} more`);
  return rendered.join('\n');
}

function renderBare(problem: SpottedProblem): string {
  const place = escapeControls(describePath(problem.path));
  return [...(place === '' ? [] : [place]), problem.severity, escapeMessage(problem.message)].join('  ');
}

function renderAll(problems: readonly SpottedProblem[], source: ConfigSource): string[] {
  const placed: PlacedProblem[] = [];
  const unplaced: string[] = [];
  for (const problem of problems) {
    const position = source.locate(problem);
    if (position === null) unplaced.push(`${escapeControls(source.file)}  ${renderBare(problem)}`);
    else placed.push({ problem, position });
  }
  placed.sort((left, right) => comparePositions(left.position, right.position));
  const all = [...unplaced.slice(0, CONFIG_PROBLEMS_MAX), ...renderPlaced(placed, source)];
  return all.slice(0, CONFIG_PROBLEMS_MAX);
}

interface PlacedProblem {
  readonly problem: SpottedProblem;
  readonly position: FilePosition;
}

function renderPlaced(placed: readonly PlacedProblem[], source: ConfigSource): string[] {
  const shown = placed.slice(0, CONFIG_PROBLEMS_MAX);
  const sourceOf = ({ included }: FilePosition): ConfigSource => included ?? source;
  const numbers = new Map<ConfigSource, Set<number>>();
  for (const { position } of shown) {
    const ofFile = numbers.get(sourceOf(position)) ?? new Set();
    numbers.set(sourceOf(position), ofFile.add(position.line));
  }
  const lines = new Map([...numbers].map(([{ file, text }, ofFile]) => [file, linesOf(text, ofFile)]));
  return shown.map(({ problem, position }) => {
    const { file } = sourceOf(position);
    const place = `${escapeControls(file)}:${position.line}:${position.column}`;
    const head = `${place}  ${problem.severity}  ${escapeMessage(problem.message)}`;
    return [head, ...renderLine(lines.get(file)?.get(position.line) ?? '', position)].join('\n');
  });
}

/** Stands for lines that a private key is in. */
const HIDDEN = '(a private key, which is not shown)';
const KEY_BEGIN = /-----BEGIN [A-Z ]*PRIVATE KEY/;
const BLOCK_END = /-----END/;

/** The line, and a caret under the place; characters are escaped first, so that the caret counts what is shown. */
function renderLine(line: string, { line: number, column }: FilePosition): string[] {
  if (line === HIDDEN) return [`${String(number).padStart(NUMBER_CHARS)} | ${HIDDEN}`];
  const start = column - 1 > LINE_CHARS_MAX - CHARS_BEFORE ? column - 1 - CHARS_BEFORE : 0;
  const before = (start > 0 ? '...' : '') + escapeControls(line.slice(start, column - 1));
  const after = escapeControls(line.slice(column - 1, start + LINE_CHARS_MAX));
  const end = line.length > start + LINE_CHARS_MAX ? '...' : '';
  const margin = ' '.repeat(NUMBER_CHARS);
  return [
    `${String(number).padStart(NUMBER_CHARS)} | ${before}${after}${end}`.trimEnd(),
    `${margin} | ${' '.repeat(Array.from(before).length)}^`,
  ];
}

/** The lines of these numbers; a file may have millions, and only few are shown. */
function linesOf(text: string, numbers: ReadonlySet<number>): Map<number, string> {
  const lines = new Map<number, string>();
  const last = Math.max(0, ...numbers);
  let start = 0;
  let isInKey = false;
  for (let number = 1; number <= last && start <= text.length; number++) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    const line = text.slice(start, end).replace(/\r$/, '');
    isInKey ||= KEY_BEGIN.test(line);
    if (numbers.has(number)) lines.set(number, isInKey ? HIDDEN : line);
    if (BLOCK_END.test(line)) isInKey = false;
    start = end + 1;
  }
  return lines;
}

/** The main file first, then the included ones by name, as they are read. */
function comparePositions(left: FilePosition, right: FilePosition): number {
  const [one, other] = [left.included?.file ?? '', right.included?.file ?? ''];
  if (one !== other) return one < other ? -1 : 1;
  return left.line - right.line || left.column - right.column;
}

/** A message may have several lines of its own (examples); nothing else in it moves the cursor. */
function escapeMessage(message: string): string {
  return message.split('\n').map(escapeControls).join('\n');
}
