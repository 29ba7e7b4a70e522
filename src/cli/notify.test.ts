import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reloadingState, watchdogIntervalMs } from './notify.ts';

test('watchdogIntervalMs() is half of what the service manager waits, if it waits for this process', () => {
  const own = String(process.pid);
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: own }), 15_000);
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '30000000' }), 15_000);
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '30000000', WATCHDOG_PID: '1' }), null);
  for (const WATCHDOG_USEC of [undefined, '', '0', 'often', '-1'])
    assert.equal(watchdogIntervalMs(WATCHDOG_USEC === undefined ? {} : { WATCHDOG_USEC }), null);
});

test('reloadingState() has the monotonic clock, which systemd compares', () => {
  const { RELOADING, MONOTONIC_USEC } = reloadingState();
  assert.equal(RELOADING, '1');
  assert.ok(Number(reloadingState()['MONOTONIC_USEC']) >= Number(MONOTONIC_USEC));
});
