import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTestKey } from '../../test/support/ech-client.ts';
import { createKindAuthority } from '../../test/support/retry-identities.ts';
import { encodeEchConfigList } from '../ech/ech-config.ts';
import type { RetryIdentity } from '../ech/retry-responder.ts';
import { RETRY_FLIGHT_BYTES_MAX } from '../limits.ts';
import type { EchFile } from './ech-files.ts';
import type { RetryIdentityFile } from './ech-retry.ts';
import { planRetry } from './plan-retry.ts';

function fileOf(
  modifiedMs: number,
  ...publicNames: readonly string[]
): EchFile & { configs: readonly unknown[] } {
  const keys = publicNames.map((publicName, at) => createTestKey({ configId: at, publicName }));
  return {
    ok: true,
    path: `${modifiedMs}.ech`,
    modifiedMs,
    list: encodeEchConfigList(keys.map(({ config }) => config)),
    configs: keys.map(({ parsed }) => parsed),
    keys: keys.map(({ config, privateKey }) => ({ config, privateKey })),
    hasPrivateKey: true,
  };
}

function identityFile(identity: RetryIdentity | null, validToMs = 1, name = 'cert.pem'): RetryIdentityFile {
  return { identity, certificatePath: name, validToMs, problems: [], warnings: [] };
}

describe('planRetry()', () => {
  test('tells each public name the configurations of its newest file, and of no other name', async t => {
    const authority = await createKindAuthority(t);
    const { identity } = await authority.issue(['*.p.example']);
    const [old, both, fresh] = [
      fileOf(1, 'a.p.example'),
      fileOf(2, 'A.p.example', 'b.p.example'),
      fileOf(3, 'a.p.example'),
    ];
    const published: EchFile = { ...fileOf(9, 'a.p.example'), keys: [], hasPrivateKey: false };
    const { terms, problems, warnings } = planRetry([fresh, published, both, old], [identityFile(identity)]);
    assert.deepEqual([problems, warnings], [[], []]);
    assert.deepEqual(
      new Map(terms.map(({ publicName, list }) => [publicName, list])),
      new Map([
        ['a.p.example', fresh.list],
        ['b.p.example', encodeEchConfigList([both.keys[1]!.config])],
      ]),
    );
  });

  test('takes, of files written at one time, the one whose name comes last', async t => {
    const authority = await createKindAuthority(t);
    const { identity } = await authority.issue(['a.p.example']);
    const [early, late] = ['z/k-2026-11-25T090000Z-9.ech', 'a/k-2026-11-25T100000Z-1.ech'].map(path => ({
      ...fileOf(1, 'a.p.example'),
      path,
    })) as [EchFile, EchFile];
    for (const files of [
      [early, late],
      [late, early],
    ]) {
      const { terms } = planRetry(files, [identityFile(identity)]);
      assert.deepEqual(terms[0]?.list, late.list);
    }
  });

  test('takes, of the certificates that cover the name, the one that expires last', async t => {
    const authority = await createKindAuthority(t);
    const [star, exact, other] = (await Promise.all(
      [['*.p.example'], ['a.p.example'], ['b.p.example']].map(
        async names => (await authority.issue(names)).identity,
      ),
    )) as [RetryIdentity, RetryIdentity, RetryIdentity];
    const files = [fileOf(1, 'a.p.example', 'b.p.example')];
    const chosen = (...identities: RetryIdentityFile[]): unknown =>
      planRetry(files, identities).terms.map(({ identity }) => identity);
    const none = identityFile(null, 9);
    assert.deepEqual(chosen(identityFile(star, 1), identityFile(exact, 2), none), [exact, star]);
    assert.deepEqual(chosen(none, identityFile(star, 2), identityFile(exact, 1)), [star, star]);
    assert.deepEqual(chosen(identityFile(exact, 1), identityFile(other, 1)), [exact, other]);
  });

  test('warns of a public name without a certificate, and refuses a certificate without a public name', async t => {
    const authority = await createKindAuthority(t);
    const { identity } = await authority.issue(['c.p.example', 'a.p.example']);
    const { identity: stray } = await authority.issue(['stray.example']);
    const plan = planRetry(
      [fileOf(1, 'a.p.example', 'b.p.example')],
      [identityFile(identity), identityFile(stray, 1, 'stray.pem')],
    );
    assert.deepEqual(
      plan.terms.map(({ publicName }) => publicName),
      ['a.p.example'],
    );
    assert.deepEqual(plan.warnings, [
      'no certificate for retries covers the public name "b.p.example": clients with an old key for it are not told of the new one',
    ]);
    assert.deepEqual(plan.problems, [
      'the certificate in "stray.pem" covers none of the public names ("a.p.example", "b.p.example"): get one for them',
    ]);
  });

  test('refuses a chain that makes the answer too large', async t => {
    const authority = await createKindAuthority(t);
    const { identity } = await authority.issue(['a.p.example']);
    const certificates = [...identity.certificates, new Uint8Array(RETRY_FLIGHT_BYTES_MAX)];
    const { terms, problems } = planRetry(
      [fileOf(1, 'a.p.example')],
      [identityFile({ ...identity, certificates })],
    );
    assert.equal(terms.length, 0);
    assert.match(
      problems[0] ?? '',
      /^the answer for a\.p\.example would take \d+ bytes, and 16384 at most are sent/,
    );
  });

  test('leaves public names aside that clients do not take', async t => {
    const authority = await createKindAuthority(t);
    const { identity } = await authority.issue(['a.p.example']);
    const files = [fileOf(1, 'a.p.example'), fileOf(2, '.p.example', 'a\0.p.example', 'a.p.example.')];
    const { terms, problems, warnings } = planRetry(files, [identityFile(identity)]);
    assert.deepEqual(
      [terms.map(({ publicName }) => publicName), problems, warnings],
      [['a.p.example'], [], []],
    );
  });

  test('has nothing to say without keys', () => {
    assert.deepEqual(planRetry([], [identityFile(null)]), { terms: [], problems: [], warnings: [] });
  });
});
