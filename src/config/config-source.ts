/** The text of a configuration file, and where in it each value stands. */
import { LineCounter, isAlias, isMap, isNode, isScalar, isSeq, parseDocument } from 'yaml';
import type { Document, Node, Pair } from 'yaml';
import type { ConfigProblem } from '../errors.ts';
import { CONFIG_ALIASES_MAX } from '../limits.ts';
import type { SpottedProblem } from './findings.ts';
import type { YamlFault } from './yaml-faults.ts';
import { findYamlFaults } from './yaml-faults.ts';

/** Both count from 1; columns in UTF-16 units, as editors do. */
export interface FilePosition {
  readonly line: number;
  readonly column: number;
  /** The file it stands in, where that is one the file includes. */
  readonly included?: ConfigSource;
}

export interface ConfigSource {
  /** The file as its reader named it. */
  readonly file: string;
  readonly text: string;
  /**
   * Where a problem stands: its value, the key where that is the problem, or the nearest thing around it. Null where
   * the value does not stand in a text, as in what a program exports.
   */
  locate(problem: SpottedProblem): FilePosition | null;
}

export interface ParsedSource {
  /** The configuration as it stands there, not checked yet; undefined if the text cannot be read as YAML or JSON. */
  readonly value: unknown;
  /** What is wrong with the text itself. */
  readonly problems: readonly ConfigProblem[];
  readonly source: ConfigSource;
}

export interface ParseOptions {
  /** A text without any value is null then, rather than a problem. */
  readonly mayBeEmpty?: boolean;
}

/** Parses YAML 1.2, and JSON with it. */
export function parseSource(
  file: string,
  text: string,
  { mayBeEmpty = false }: ParseOptions = {},
): ParsedSource {
  const lines = new LineCounter();
  const offsets = new Map<ConfigProblem, number>();
  const report = ({ offset, message, severity }: YamlFault): void => {
    offsets.set({ path: [], message, severity }, offset);
  };
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const isEmpty = mayBeEmpty && document.contents === null && document.errors.length === 0;
  const value = isEmpty ? null : valueOf(document, report);
  const locate = (problem: SpottedProblem): FilePosition =>
    positionAt(lines, offsets.get(problem) ?? offsetOf(document, problem));
  return { value, problems: [...offsets.keys()], source: { file, text, locate } };
}

type Report = (fault: YamlFault) => void;

/** The plain value; undefined if there is none to check. */
function valueOf(document: Document, report: Report): unknown {
  const faults = findYamlFaults(document);
  faults.forEach(report);
  if (faults.some(({ severity }) => severity === 'error')) return undefined;
  if (document.contents === null) {
    const message = 'the file is empty: it needs at least listen, and routes or suffixes';
    report({ offset: 0, message, severity: 'error' });
    return undefined;
  }
  try {
    return document.toJS({ maxAliasCount: CONFIG_ALIASES_MAX }) as unknown;
  } catch (error) {
    if (!(error instanceof ReferenceError || error instanceof RangeError)) throw error;
    report({ offset: 0, message: 'too many aliases (*): write the values out', severity: 'error' });
    return undefined;
  }
}

function positionAt(lines: LineCounter, offset: number): FilePosition {
  const { line, col } = lines.linePos(offset);
  // An empty text has no line at all.
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

function offsetOf(document: Document, { path, spot }: SpottedProblem): number {
  let node: Node | null = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, step] of path.entries()) {
    const child = childOf(resolveAlias(node, document), step);
    if (child === null) break;
    const isKey = spot === 'key' && index === path.length - 1;
    offset = (isKey ? child.keyOffset : null) ?? startOf(child.node) ?? child.keyOffset ?? offset;
    node = child.node;
  }
  return offset;
}

interface Child {
  readonly node: Node | null;
  /** Of the key that leads to it; null in a list. */
  readonly keyOffset: number | null;
}

function childOf(parent: Node | null, step: string | number): Child | null {
  if (isSeq(parent)) {
    const item = typeof step === 'number' ? parent.items[step] : undefined;
    return item === undefined ? null : { node: isNode(item) ? item : null, keyOffset: null };
  }
  if (!isMap(parent)) return null;
  const pair = parent.items.find(({ key }: Pair) => isScalar(key) && String(key.value) === step);
  if (pair === undefined) return null;
  return {
    node: isNode(pair.value) ? pair.value : null,
    keyOffset: isNode(pair.key) ? startOf(pair.key) : null,
  };
}

function resolveAlias(node: Node | null, document: Document): Node | null {
  return isAlias(node) ? (node.resolve(document) ?? null) : node;
}

function startOf(node: Node | null): number | null {
  return node?.range?.[0] ?? null;
}
