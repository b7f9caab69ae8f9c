// Node.js; see README.md.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const tls = require('tls');

const order = JSON.parse(process.argv[2]);
let session;

function fail(error) {
  process.stderr.write(`${error.stack || error}\n`);
  process.exit(1);
}

const sum = (data) => crypto.createHash('sha256').update(data).digest('hex');

/** One connection. Node does not tell an end with close_notify from a cut by itself, so the raw bytes are kept an eye on. */
function connect(run) {
  return new Promise((resolve) => {
    const data = fs.readFileSync(run.file);
    const parts = [];
    let size = 0;
    let sent = false;
    const socket = tls.connect({
      host: order.host, port: order.port, servername: order.name, ca: fs.readFileSync(order.ca), ALPNProtocols: order.alpn,
      cert: order.cert && fs.readFileSync(order.cert), key: order.key && fs.readFileSync(order.key),
      minVersion: `TLSv${order.min}`, maxVersion: `TLSv${order.max}`, session: order.resume ? session : undefined, allowHalfOpen: true,
    });
    let version, alpn, resumed;
    socket.setTimeout(30000, () => fail(new Error('nothing for 30 s')));
    socket.on('error', fail);
    socket.on('session', (one) => { session = one; });
    const both = () => { if (sent && size === run.size && run.end === 'client') socket.end(); };
    socket.on('secureConnect', () => {
      [version, alpn, resumed] = [socket.getProtocol(), socket.alpnProtocol || '', socket.isSessionReused()];
      socket.write(data, () => {
        sent = true;
        if (run.end === 'half') socket.end();
        both();
      });
    });
    socket.on('data', (part) => {
      parts.push(part);
      size += part.length;
      both();
    });
    socket.on('end', () => {
      if (!sent || size !== run.size) fail(new Error(`the end came after ${size} bytes`));
      socket.end();
    });
    socket.on('close', () => resolve({ version, alpn, resumed, sent: sum(data), got: sum(Buffer.concat(parts)) }));
  });
}

(async () => {
  for (const run of order.runs) console.log(JSON.stringify(await connect(run)));
})().catch(fail);
