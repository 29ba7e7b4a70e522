import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Exposition, Histogram } from './exposition.ts';

describe('Exposition', () => {
  test('writes each family with its head, and escapes labels', () => {
    const to = new Exposition();
    to.counter('a_total', 'Some.', [
      [{ route: 'a"b\\c\nd' }, 3],
      [{ route: 'x', reason: 'y' }, 1e21],
    ]);
    to.gauge('b', 'None.', []);
    assert.equal(
      to.text,
      [
        '# HELP a_total Some.',
        '# TYPE a_total counter',
        'a_total{route="a\\"b\\\\c\\nd"} 3',
        'a_total{route="x",reason="y"} 1e+21',
        '# HELP b None.',
        '# TYPE b gauge',
        '',
      ].join('\n'),
    );
  });

  test('writes histograms with cumulative buckets, a bound belonging to its bucket', () => {
    const histogram = new Histogram([0.5, 1]);
    for (const value of [0.25, 0.5, 0.75, 8]) histogram.observe(value);
    const to = new Exposition();
    to.histogram('h_seconds', 'Times.', [[{ route: 'r' }, histogram]]);
    assert.deepEqual(to.text.split('\n').slice(1), [
      '# TYPE h_seconds histogram',
      'h_seconds_bucket{route="r",le="0.5"} 2',
      'h_seconds_bucket{route="r",le="1"} 3',
      'h_seconds_bucket{route="r",le="+Inf"} 4',
      'h_seconds_sum{route="r"} 9.5',
      'h_seconds_count{route="r"} 4',
      '',
    ]);
  });
});
