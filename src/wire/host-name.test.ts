import assert from 'node:assert/strict';
import { isIPv4 } from 'node:net';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { escapeBytes, escapeProtocols, parseConfigName, parseServerName } from './host-name.ts';

const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'latin1');
const kindOf = (text: string): string => {
  const parsed = parseServerName(bytesOf(text));
  return parsed.kind === 'invalid' ? parsed.code : parsed.kind;
};

const LABEL_63 = 'a'.repeat(63);
const NAME_253 = `${LABEL_63}.${LABEL_63}.${LABEL_63}.${'b'.repeat(61)}`;

describe('parseServerName()', () => {
  test('folds ASCII case and one trailing dot', () => {
    const cases: [string, string][] = [
      ['example.com', 'example.com'],
      ['EXAMPLE.Com', 'example.com'],
      ['example.com.', 'example.com'],
      ['AZ09-_.Z', 'az09-_.z'],
      ['localhost', 'localhost'],
      ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
      ['_acme-challenge.example.com', '_acme-challenge.example.com'],
      ['-a-.example', '-a-.example'],
      ['__proto__', '__proto__'],
      ['constructor', 'constructor'],
    ];
    for (const [text, name] of cases)
      assert.deepEqual(parseServerName(bytesOf(text)), { kind: 'name', name });
  });

  test('takes names with digits that are no addresses', () => {
    for (const text of [
      '1.2.3.4.5',
      '1a.2',
      'a.1',
      '127.0.0.1.example.com',
      '0x7g.1',
      '0-1',
      '1_2',
      'dead.beef',
    ]) {
      assert.equal(kindOf(text), 'name', text);
    }
  });

  test('takes a label of 63 and a name of 253 bytes, with or without the dot', () => {
    assert.equal(NAME_253.length, 253);
    assert.equal(kindOf(LABEL_63), 'name');
    assert.deepEqual(parseServerName(bytesOf(NAME_253)), { kind: 'name', name: NAME_253 });
    assert.deepEqual(parseServerName(bytesOf(`${NAME_253}.`)), { kind: 'name', name: NAME_253 });
  });

  test('refuses longer labels and names', () => {
    for (const text of [
      `${LABEL_63}a`,
      `${LABEL_63}a.example`,
      `example.${LABEL_63}a.`,
      `${NAME_253}b`,
      `${NAME_253}b.`,
      `${NAME_253}..`,
      'a'.repeat(65_535),
      '.'.repeat(300),
    ]) {
      assert.equal(kindOf(text), 'name-too-long', `${text.length} bytes`);
    }
  });

  test('refuses an empty name and empty labels', () => {
    assert.equal(kindOf(''), 'empty-name');
    for (const text of ['.', '..', '.a', 'a..b', 'a..', '.a.', '127..1', '1.2.3.4..']) {
      assert.equal(kindOf(text), 'bad-name', text);
    }
  });

  test('refuses every byte but letters, digits, hyphen, underscore and dot, wherever it stands', () => {
    const allowed = new Set(bytesOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.'));
    for (let byte = 0; byte < 256; byte++) {
      const byteText = String.fromCharCode(byte);
      const expected = allowed.has(byte) ? 'name' : 'bad-name';
      assert.equal(kindOf(`a${byteText}b`), expected, `byte ${byte}`);
      if (allowed.has(byte)) continue;
      assert.equal(kindOf(`${byteText}a`), expected, `byte ${byte} first`);
      assert.equal(kindOf(`a${byteText}`), expected, `byte ${byte} last`);
    }
  });

  test('refuses what folds into ASCII elsewhere, and what only URLs have', () => {
    // U+212A KELVIN SIGN is folded to `k` by toLowerCase().
    assert.equal('\u212A'.toLowerCase(), 'k');
    for (const text of ['\u212A', 'a\u017F', '\uFF41', 'bücher', '１２７.1']) {
      const parsed = parseServerName(Buffer.from(`${text}.example`));
      assert.deepEqual(parsed, { kind: 'invalid', code: 'bad-name' }, text);
    }
    for (const text of [
      'a:443',
      'user@a',
      'https://a',
      'a/b',
      'a?b',
      'a#b',
      '*.a',
      '*',
      'a%00',
      'a\0.b',
      'a\r\nb',
    ]) {
      assert.equal(kindOf(text), 'bad-name', JSON.stringify(text));
    }
  });

  test('knows an IPv4 literal in each form that inet_aton(3) reads, in and out of range', () => {
    for (const text of [
      '127.0.0.1',
      '127.0.0.1.',
      '127.1',
      '127.0.1',
      '0177.0.0.1',
      '0x7f.1',
      '0X7F.0.0.1',
      '0x7f000001',
      '0x',
      '2130706433',
      '0',
      '08',
      '1.2.3.0x',
      '999.999.999.999',
      '256',
      '99999999999999999999',
      '0x7f.0.0.0x1',
    ]) {
      assert.equal(kindOf(text), 'ip-literal', text);
    }
  });

  test('knows an IPv6 literal, in brackets or not, mapped, with a zone', () => {
    for (const text of [
      '::1',
      '[::1]',
      '::',
      '2001:DB8::1',
      '[2001:db8::1]',
      '::ffff:127.0.0.1',
      '[::ffff:7f00:1]',
      'fe80::1%eth0',
      '[fe80::1%25eth0]'.replace('%25', '%'),
      '1:2:3:4:5:6:7:8',
    ]) {
      assert.equal(kindOf(text), 'ip-literal', text);
    }
  });

  test('refuses what is nearly an IPv6 literal', () => {
    for (const text of [
      '[::1',
      '::1]',
      '[]',
      '[a]',
      '[127.0.0.1]',
      '[::1]:443',
      '1.2.3.4:443',
      ':::',
      '1:2:3:4:5:6:7:8:9',
      '::1%',
      '::1%a b',
      '::g',
      '::1.2.3',
      '::1/64',
      '[[::1]]',
    ]) {
      assert.equal(kindOf(text), 'bad-name', text);
    }
  });

  test('keeps nothing of an earlier name', () => {
    parseServerName(bytesOf(NAME_253));
    assert.deepEqual(parseServerName(bytesOf('a')), { kind: 'name', name: 'a' });
    const first = parseServerName(bytesOf('first.example'));
    parseServerName(bytesOf('other.example'));
    assert.deepEqual(first, { kind: 'name', name: 'first.example' });
  });

  test('gives for any bytes a canonical name, or none; and folds its own names to themselves', () => {
    const hostish = fc
      .string({ unit: fc.constantFrom(...Array.from('aZ09-_.:[]x% ')), maxLength: 80 })
      .map(bytesOf);
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), hostish), bytes => {
        const parsed = parseServerName(bytes);
        if (parsed.kind !== 'name') return;
        assert.match(parsed.name, /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/);
        assert.ok(parsed.name.length <= 253 && !isIPv4(parsed.name));
        assert.deepEqual(parseServerName(bytesOf(parsed.name)), parsed);
        assert.deepEqual(parseServerName(bytesOf(`${parsed.name.toUpperCase()}.`)), parsed);
      }),
      { numRuns: 2_000 },
    );
  });

  test('knows every address that a client may write', () => {
    const ipv6 = fc.ipV6().chain(text => fc.constantFrom(text, `[${text}]`, `${text}%lo`));
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV4Extended(), ipv6), text => kindOf(text) === 'ip-literal'),
    );
  });
});

describe('parseConfigName()', () => {
  test('gives the canonical form, of internationalised names too', () => {
    const cases: [string, string][] = [
      ['Example.COM.', 'example.com'],
      ['Bücher.example', 'xn--bcher-kva.example'],
      ['BÜCHER.example.', 'xn--bcher-kva.example'],
      ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
      ['straße.example', 'xn--strae-oqa.example'],
      ['日本語.example', 'xn--wgv71a119e.example'],
      ['_srv.bücher.example', '_srv.xn--bcher-kva.example'],
    ];
    for (const [text, name] of cases) assert.deepEqual(parseConfigName(text), { ok: true, name }, text);
  });

  test('says what is wrong with any other', () => {
    const cases: [string, string][] = [
      ['', 'it is empty'],
      ['a..b', 'it has an empty label (two dots in a row, or one at its beginning)'],
      ['.', 'it has an empty label (two dots in a row, or one at its beginning)'],
      [`${LABEL_63}a`, 'a label of it has more than 63 bytes'],
      [`${NAME_253}b`, 'it has more than 253 bytes'],
      ['a b', "only letters, digits, '-', '_' and '.' are allowed in it"],
      ['a:1', "only letters, digits, '-', '_' and '.' are allowed in it"],
      ['bücher:443', "only letters, digits, '-', '_' and '.' are allowed in it"],
      ['%62ücher', "only letters, digits, '-', '_' and '.' are allowed in it"],
      ['ü@a', "only letters, digits, '-', '_' and '.' are allowed in it"],
      ['127.1', 'it is an IP address, in full or in short form'],
      ['[::1]', 'it is an IP address, in full or in short form'],
      ['１２７.0.0.1', 'it is an IP address, in full or in short form'],
      ['a\u00AD\u2028b', 'it is no valid internationalised name (UTS #46)'],
    ];
    for (const [text, message] of cases)
      assert.deepEqual(parseConfigName(text), { ok: false, message }, text);
  });

  test('agrees with parseServerName() about every name it gives', () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.string({ unit: 'grapheme', maxLength: 40 })), text => {
        const parsed = parseConfigName(text);
        if (!parsed.ok) return;
        assert.deepEqual(parseServerName(bytesOf(parsed.name)), { kind: 'name', name: parsed.name });
      }),
    );
  });
});

describe('escapeBytes()', () => {
  test('keeps printable ASCII and escapes everything else', () => {
    assert.equal(escapeBytes(bytesOf('a.b ~!{}'), 99), 'a.b ~!{}');
    assert.equal(
      escapeBytes(bytesOf('"\\\r\n\0\x1b\x7f\x80\xff'), 99),
      '\\x22\\x5c\\x0d\\x0a\\x00\\x1b\\x7f\\x80\\xff',
    );
    assert.equal(escapeBytes(new Uint8Array(0), 99), '');
  });

  test('cuts what is too long, and says so', () => {
    assert.equal(escapeBytes(bytesOf('abc'), 3), 'abc');
    assert.equal(escapeBytes(bytesOf('abcd'), 3), 'abc...');
    assert.equal(escapeBytes(bytesOf('\0\0'), 1), '\\x00...');
    assert.equal(escapeBytes(bytesOf('a'), 0), '...');
  });

  test('can be undone, and gives one line of printable ASCII', () => {
    fc.assert(
      fc.property(fc.uint8Array(), bytes => {
        const text = escapeBytes(bytes, bytes.length);
        assert.match(text, /^[\x20-\x7e]*$/);
        const undone = text.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
          String.fromCharCode(Number.parseInt(hex, 16)),
        );
        assert.deepEqual([...bytesOf(undone)], [...bytes]);
      }),
    );
  });
});

describe('escapeProtocols()', () => {
  test('escapes each protocol', () => {
    assert.deepEqual(escapeProtocols(['h2', 'a"\n'], 99), ['h2', 'a\\x22\\x0a']);
  });

  test('cuts a list that is too long as a whole, and says so', () => {
    assert.deepEqual(escapeProtocols(['ab', 'cd'], 4), ['ab', 'cd']);
    assert.deepEqual(escapeProtocols(['ab', 'cd', 'e'], 4), ['ab', 'cd', '...']);
    assert.equal(
      escapeProtocols(
        Array.from({ length: 30_000 }, () => 'x'),
        255,
      ).length,
      256,
    );
  });
});
