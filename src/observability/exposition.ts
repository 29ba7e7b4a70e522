/** Metrics as text, in the format that Prometheus reads (version 0.0.4 of its exposition formats). */

export const EXPOSITION_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;

/** One value of a family. */
export type Sample = readonly [labels: Labels, value: number];

/** Collects families of samples; each name once, all samples of a family together. */
export class Exposition {
  readonly #lines: string[] = [];

  /** Ends in `_total`, and only grows. */
  counter(name: string, help: string, samples: Iterable<Sample>): void {
    this.#family(name, 'counter', help, samples);
  }

  gauge(name: string, help: string, samples: Iterable<Sample>): void {
    this.#family(name, 'gauge', help, samples);
  }

  histogram(name: string, help: string, histograms: Iterable<readonly [Labels, Histogram]>): void {
    this.#head(name, 'histogram', help);
    for (const [labels, histogram] of histograms) {
      for (const [bound, count] of histogram.cumulative()) {
        this.#sample(`${name}_bucket`, { ...labels, le: formatNumber(bound) }, count);
      }
      this.#sample(`${name}_sum`, labels, histogram.sum);
      this.#sample(`${name}_count`, labels, histogram.count);
    }
  }

  get text(): string {
    return `${this.#lines.join('\n')}\n`;
  }

  #family(name: string, type: string, help: string, samples: Iterable<Sample>): void {
    this.#head(name, type, help);
    for (const [labels, value] of samples) this.#sample(name, labels, value);
  }

  #head(name: string, type: string, help: string): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  }

  #sample(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    const selector = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    this.#lines.push(`${name}${selector} ${formatNumber(value)}`);
  }
}

/** Counts of values up to each of some bounds. */
export class Histogram {
  sum = 0;
  count = 0;
  readonly #bounds: readonly number[];
  readonly #counts: Float64Array;

  /** @param bounds In ascending order; one for everything above them is added. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++;
    this.#counts[bucket]! += 1;
    this.sum += value;
    this.count++;
  }

  /** Each bound with how many values were not above it. */
  *cumulative(): Generator<readonly [bound: number, count: number]> {
    let total = 0;
    for (const [index, count] of this.#counts.entries()) {
      total += count;
      yield [this.#bounds[index] ?? Number.POSITIVE_INFINITY, total];
    }
  }
}

function formatNumber(value: number): string {
  return value === Number.POSITIVE_INFINITY ? '+Inf' : String(value);
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
