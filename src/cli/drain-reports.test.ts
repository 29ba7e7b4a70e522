import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeOpen } from './drain-reports.ts';

const connection = {
  id: 1,
  client: { address: '10.0.0.9', port: 5000 },
  serverName: 'www.example.com',
  route: '*.example.com',
  ageMs: 723_400,
  bytesFromClient: 10,
  bytesFromBackend: 20,
};

test('what holds a process open is told with client, route, age and bytes', () => {
  assert.equal(describeOpen(1, []), '1 connection is open still');
  assert.equal(
    describeOpen(5, [connection, { ...connection, route: 'www.example.com', ageMs: 7_260_000 }]),
    '5 connections are open still, the oldest: ' +
      '10.0.0.9:5000 (www.example.com, route *.example.com) for 12m3s in=10 out=20; ' +
      '10.0.0.9:5000 (www.example.com) for 2h1m in=10 out=20',
  );
  const early = { ...connection, serverName: null, route: null, ageMs: 900 };
  assert.match(describeOpen(1, [early]), /\(no name yet\) for 0s/);
});
