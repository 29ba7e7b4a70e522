import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RECORDS_BATCH_BYTES, RECORDS_BYTES_MAX } from '../../limits.ts';
import { RecordOutbox } from './record-outbox.ts';
import { unpackRecords } from './records.ts';
import { WorkerCounters } from './shared-state.ts';

const facts = (id: number) => ({
  id,
  listener: { facts: { rules: null, scope: null }, number: 0, text: 'here' },
  peer: { family: 4, port: 1, words: [0, 0, 0, 0x7f000001] } as const,
});

function idsIn(batches: readonly Uint8Array[]): number[] {
  const ids: number[] = [];
  const take = ({ id }: { readonly id: number }): number => ids.push(id);
  for (const batch of batches) unpackRecords(batch, ['here'], { opened: take, ended: take });
  return ids;
}

describe('RecordOutbox', () => {
  test('sends what waits as one batch, in its order', () => {
    const batches: Uint8Array[] = [];
    const outbox = new RecordOutbox(new WorkerCounters(), bytes => batches.push(bytes));
    for (const id of [1, 2, 3]) outbox.addOpened(facts(id));
    assert.equal(batches.length, 0);
    outbox.flush();
    assert.equal(batches.length, 1);
    assert.deepEqual(idsIn(batches), [1, 2, 3]);
  });

  test('lets no reader fall further behind than its bound, counts each record beyond, and goes on after it', () => {
    const counters = new WorkerCounters();
    const batches: Uint8Array[] = [];
    const outbox = new RecordOutbox(counters, bytes => batches.push(bytes));
    let id = 0;
    while (counters.droppedRecords === 0) outbox.addOpened(facts(++id));
    assert.ok(counters.recordBytesUnderWay <= RECORDS_BYTES_MAX);
    assert.ok(counters.recordBytesUnderWay > RECORDS_BYTES_MAX - 2 * RECORDS_BATCH_BYTES);
    outbox.flush();
    assert.equal(idsIn(batches).length + counters.droppedRecords, id, 'each record is sent or counted');

    counters.countRecordsRead(batches.reduce((sum, { length }) => sum + length, 0));
    const sent = batches.length;
    outbox.addOpened(facts(++id));
    outbox.flush();
    assert.deepEqual(idsIn(batches.slice(sent)), [id]);
  });
});
