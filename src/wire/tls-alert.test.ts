import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ALERTS, alertName, encodeAlert } from './tls-alert.ts';

test('encodeAlert() makes one record with a fatal alert', () => {
  assert.deepEqual([...encodeAlert(ALERTS.unrecognized_name)], [21, 3, 3, 0, 2, 2, 112]);
  assert.deepEqual([...encodeAlert(0)], [21, 3, 3, 0, 2, 2, 0]);
  assert.deepEqual([...encodeAlert(255)], [21, 3, 3, 0, 2, 2, 255]);
});

test('alertName() names every alert, and nothing else', () => {
  for (const [name, description] of Object.entries(ALERTS)) assert.equal(alertName(description), name);
  const named = Array.from({ length: 256 }, (_, description) => alertName(description)).filter(
    name => name !== null,
  );
  assert.equal(named.length, Object.keys(ALERTS).length);
  for (const unknown of [1, 21, 111, 255, 256, -1, 0.5, Number.NaN]) assert.equal(alertName(unknown), null);
});

test('ALERTS holds the numbers of RFC 8446 section 6 that refusals use', () => {
  const { unexpected_message, record_overflow, illegal_parameter, decode_error, protocol_version } = ALERTS;
  assert.deepEqual(
    [unexpected_message, record_overflow, illegal_parameter, decode_error, protocol_version],
    [10, 22, 47, 50, 70],
  );
  const { handshake_failure, access_denied, internal_error, unrecognized_name, no_application_protocol } =
    ALERTS;
  assert.deepEqual(
    [handshake_failure, access_denied, internal_error, unrecognized_name, no_application_protocol],
    [40, 49, 80, 112, 120],
  );
});
