/** Medians over the rounds, as a table for each case. */
import type { Case, Metric } from './cases.ts';
import type { LoadResult } from './load/load.ts';

/** One contender in one case: its results in order, or why it has none. */
export interface Row {
  readonly contender: string;
  readonly results: readonly LoadResult[];
  readonly problem: string | null;
}

/** Contenders that others are compared with: the best of these has the ratio 1. */
const PEERS: ReadonlySet<string> = new Set(['haproxy', 'haproxy-tuned', 'nginx']);

export function median(values: readonly number[]): number {
  const sorted = values.filter(value => !Number.isNaN(value)).toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function formatTable({ name, metrics }: Case, rows: readonly Row[]): string {
  const head = [name, ...metrics.flatMap(metric => [metric.title, 'x best peer']), 'failures', 'disturbed'];
  const lines = rows.map(row => [row.contender, ...cells(row, metrics, rows)]);
  return align([head, ...lines]);
}

function cells(row: Row, metrics: readonly Metric[], rows: readonly Row[]): string[] {
  if (row.results.length === 0) return [row.problem ?? 'nothing measured'];
  const figures = metrics.flatMap(metric => {
    const value = median(row.results.map(metric.of));
    const ratio = value / bestPeer(metric, rows);
    return [show(value, metric.digits), show(ratio, 2)];
  });
  const failures = row.results.reduce((sum, result) => sum + result.failures, 0);
  const disturbance = median(row.results.map(result => result.disturbance));
  const problem = row.problem === null ? [] : [row.problem];
  return [...figures, String(failures), `${show(Math.max(0, disturbance) * 100, 0)} %`, ...problem];
}

function bestPeer(metric: Metric, rows: readonly Row[]): number {
  const values = rows
    .filter(row => PEERS.has(row.contender))
    .map(row => median(row.results.map(metric.of)))
    .filter(value => !Number.isNaN(value));
  if (values.length === 0) return Number.NaN;
  return metric.lessIsBetter ? Math.min(...values) : Math.max(...values);
}

function show(value: number, digits: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(digits);
}

function align(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, column) =>
    Math.max(...lines.filter(line => line.length > 2).map(line => (line[column] ?? '').length)),
  );
  return lines
    .map(line =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    )
    .join('\n');
}
