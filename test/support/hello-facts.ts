/** Results of the hello parser as plain values that tests compare. */
import assert from 'node:assert/strict';
import type { ClientHello } from '../../src/wire/client-hello.ts';
import { HelloReader, parseClientHello } from '../../src/wire/hello-reader.ts';
import type { HelloComplete, HelloResult } from '../../src/wire/hello-reader.ts';
import { fragmentRecords } from './hello-builder.ts';

export type HelloFacts = ReturnType<typeof factsOf>;

/** Everything a hello tells, each getter called once. */
export function factsOf(hello: ClientHello) {
  return {
    serverName: hello.serverName,
    rawName: hello.rawName === null ? null : hexOf(hello.rawName),
    ech: hello.ech,
    legacyVersion: hello.legacyVersion,
    sessionId: hexOf(hello.sessionId),
    cipherSuites: hello.cipherSuites,
    extensions: hello.extensions,
    alpnProtocols: hello.alpnProtocols,
    supportedVersions: hello.supportedVersions,
    versionSet: hello.versionSet,
    supportedGroups: hello.supportedGroups,
    signatureAlgorithms: hello.signatureAlgorithms,
    ecPointFormats: hello.ecPointFormats,
    ja3: hello.ja3,
    ja4: hello.ja4,
  };
}

/** One line that is equal for two results if and only if they say the same. */
export function describeResult(result: HelloResult): string {
  if (result.kind === 'incomplete') return 'incomplete';
  if (result.kind === 'complete')
    return `complete ${result.consumed} ${JSON.stringify(factsOf(result.hello))}`;
  return `invalid ${result.code} ${result.alert} ${result.rawName === undefined ? '-' : hexOf(result.rawName)}`;
}

/** The result for a stream that must hold a whole valid hello. */
export function readComplete(stream: Uint8Array): HelloComplete {
  const result = parseClientHello(stream);
  assert.ok(result.kind === 'complete', describeResult(result));
  return result;
}

/** The hello of a stream that must hold a valid one and nothing behind it. */
export function readHello(stream: Uint8Array): ClientHello {
  const { hello, consumed } = readComplete(stream);
  assert.equal(consumed, stream.length);
  return hello;
}

/** The first result other than `incomplete` of one reader that gets the stream up to each of `ends`, then all of it. */
export function readUpTo(stream: Uint8Array, ends: Iterable<number>): HelloResult {
  const reader = new HelloReader();
  for (const end of ends) {
    const result = reader.read(stream.subarray(0, end));
    if (result.kind !== 'incomplete') return result;
  }
  return reader.read(stream);
}

/** The result of one reader that gets one byte more at each call. */
export function readByteByByte(stream: Uint8Array): HelloResult {
  return readUpTo(stream, stream.keys());
}

/** The hello of `stream` must be the same however it is cut into segments, and incomplete until its last byte. */
export function assertEverySplit(stream: Uint8Array): void {
  const whole = describeResult(readComplete(stream));
  for (let end = 0; end < stream.length; end++) {
    assert.equal(parseClientHello(stream.subarray(0, end)).kind, 'incomplete', `first ${end} bytes`);
    const reader = new HelloReader();
    // Copies: a receive buffer moves when it grows.
    assert.equal(
      reader.read(Uint8Array.from(stream.subarray(0, end))).kind,
      'incomplete',
      `first ${end} bytes`,
    );
    assert.equal(describeResult(reader.read(Uint8Array.from(stream))), whole, `split at ${end}`);
  }
  const reader = new HelloReader();
  for (let end = 0; end < stream.length; end++) {
    assert.equal(reader.read(stream.subarray(0, end)).kind, 'incomplete', `byte ${end}`);
  }
  assert.equal(describeResult(reader.read(stream)), whole);
}

/** The hello of `stream` must be the same when its message is spread over records of at most `payloadMax` bytes. */
export function assertSameInRecords(stream: Uint8Array, payloadMax: number): void {
  const fragmented = fragmentRecords(stream, payloadMax);
  const hello = readHello(fragmented);
  assert.deepEqual(factsOf(hello), factsOf(readHello(stream)), `records of ${payloadMax}`);
  assert.deepEqual(describeResult(readByteByByte(fragmented)), describeResult(readComplete(fragmented)));
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}
