// Node's HTTP parser as a target, for differential_test.py: prints one line of JSON for each connection that ended,
// with what it read: {"port", "error", "requests": [[method, url, body, number]], "raw"}. number: in what order they
// were complete, over all connections; raw: all bytes. Bytes are base64.
'use strict';
const http = require('http');

let count = 0;
const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts).toString('base64');
    request.socket.seen.requests.push([request.method, request.url, body, count++]);
    response.writeHead(200, {'Content-Length': 2});
    response.end('ok');
  });
});
server.keepAliveTimeout = 0;
server.requestTimeout = 0;
server.headersTimeout = 0;
server.maxRequestsPerSocket = 0;

server.on('connection', (socket) => {
  const seen = {port: socket.remotePort, error: null, requests: []};
  const raw = [];
  socket.seen = seen;
  socket.setNoDelay(true);
  socket.on('data', (part) => raw.push(part));
  socket.on('error', () => {});
  socket.on('close', () => {
    seen.raw = Buffer.concat(raw).toString('base64');
    process.stdout.write(JSON.stringify(seen) + '\n');
  });
});
server.on('clientError', (error, socket) => {
  if (error.code !== 'ECONNRESET' && error.code !== 'HPE_INVALID_EOF_STATE') { // cut off is no error of what came
    socket.seen.error = error.code;
  }
  socket.destroy();
});
server.on('connect', (request, socket) => {
  socket.seen.requests.push([request.method, request.url, '', count++]);
  socket.destroy();
});
server.listen(0, '127.0.0.1', () => process.stdout.write(JSON.stringify({listen: server.address().port}) + '\n'));
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
