// CommonJS: metrics, and what happens in the process on diagnostics channels, whoever has made the proxy.
const { subscribe } = require('node:diagnostics_channel');
const { once } = require('node:events');
const { connect } = require('node:net');
const { createMetrics, createProxy } = require('sniway');

subscribe('sniway:connection:ended', ({ connection }) => {
  console.log(`${connection.client.address}: ${connection.endReason} (${connection.detail})`);
});

async function main() {
  const proxy = createProxy({
    listen: '127.0.0.1:0',
    routes: [{ match: 'www.example.com', backend: '10.0.0.5:443' }],
  });
  const metrics = createMetrics(proxy);
  const [{ port }] = await proxy.start();

  const client = connect(port, '127.0.0.1');
  client.end('GET / HTTP/1.1\r\n\r\n'); // this is no TLS
  client.resume();
  await once(client, 'close');

  await proxy.drain();
  const text = await metrics.render();
  console.log(text.match(/^sniway_connections_accepted_total .*$/m)?.[0]);
  metrics.close();
  await proxy.close();
}

void main();
