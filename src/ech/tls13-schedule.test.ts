import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverHandshakeSecret, trafficKeys } from './tls13-schedule.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

test('serverHandshakeSecret() and trafficKeys() give what RFC 8448 section 3 says', () => {
  const shared = hex('8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d');
  const transcript = hex('860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8');
  const secret = serverHandshakeSecret('sha256', shared, transcript);
  assert.equal(secret.toString('hex'), 'b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38');
  const { key, iv } = trafficKeys('sha256', secret, 16);
  assert.deepEqual([key, iv], [hex('3fce516009c21727d0f2e4e86ee403bc'), hex('5d313eb2671276ee13000b30')]);
});
